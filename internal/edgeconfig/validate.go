package edgeconfig

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ValidateOption adds a rule that lives outside this package.
type ValidateOption func(*validation)

// WithScheduleCheck has every schedule expression of a right length checked; the error's text
// says what is wrong with it and follows the field's name: "has 5 fields, must have 6 or 7".
func WithScheduleCheck(check func(expression string) error) ValidateOption {
	return func(v *validation) { v.schedule = check }
}

// InFile is for a configuration in a file on the hub: it need not name the hub. With mediaURI the file holds the URL of
// the media itself, in place of the ARN of a secret, and then need not name its kind.
func InFile(mediaURI bool) ValidateOption {
	return func(v *validation) { v.inFile, v.mediaURI = true, mediaURI }
}

type validation struct {
	faults           faultList
	schedule         func(string) error
	inFile, mediaURI bool // see InFile
}

// Validate checks every value against the limits of the KVS API. The error is an *Invalid that
// names all faults.
func (c EdgeConfig) Validate(options ...ValidateOption) error {
	var v validation
	for _, option := range options {
		option(&v)
	}
	v.hub("HubDeviceArn", c.HubDeviceArn)
	v.mediaSource("RecorderConfig.MediaSourceConfig", c.RecorderConfig.MediaSourceConfig)
	v.scheduleConfig("RecorderConfig.ScheduleConfig", c.RecorderConfig.ScheduleConfig)
	if c.UploaderConfig != nil {
		v.scheduleConfig("UploaderConfig.ScheduleConfig", c.UploaderConfig.ScheduleConfig)
	}
	if c.DeletionConfig != nil {
		v.deletion("DeletionConfig", *c.DeletionConfig)
	}
	return v.faults.err()
}

func (v *validation) hub(path, arn string) {
	switch {
	case arn == "" && v.inFile:
	case arn == "":
		v.faults.add(path, "", "is missing: it must be the ARN of the hub's IoT thing")
	case len(arn) > MaxHubDeviceArn:
		v.faults.add(path, quote(arn), "must have at most %d characters", MaxHubDeviceArn)
	case !hubPattern.MatchString(arn):
		v.faults.add(path, quote(arn), "must be the ARN of an IoT thing (arn:aws:iot:region:account:thing/name)")
	}
}

// redacted stands for a value that may hold a password.
const redacted = "[redacted]"

func (v *validation) mediaSource(path string, m MediaSourceConfig) {
	switch {
	case v.mediaURI:
	case m == (MediaSourceConfig{}) && v.inFile:
		v.faults.add(path, "", "is missing: it must hold the camera's URL (MediaURI), or name the secret with it (MediaUriSecretArn)")
		return
	case m == (MediaSourceConfig{}):
		v.faults.add(path, "", "is missing: it must name the secret with the camera's URL")
		return
	}
	arn, shown := m.MediaUriSecretArn, ""
	if arn != "" {
		// The password of a URL that was put here by mistake must not appear in logs.
		if shown = redacted; strings.HasPrefix(arn, "arn:") && !strings.Contains(arn, "//") {
			shown = quote(arn)
		}
	}
	switch arnPath := path + ".MediaUriSecretArn"; {
	case v.mediaURI && arn == "":
	case v.mediaURI:
		v.faults.add(arnPath, shown, "must be left out, as MediaURI has the camera's URL")
	case arn == "":
		v.faults.add(arnPath, "", "is missing: it must be the ARN of the secret with the camera's URL")
	case len(arn) < MinSecretArn || len(arn) > MaxSecretArn:
		v.faults.add(arnPath, shown, "must have %d to %d characters", MinSecretArn, MaxSecretArn)
	case !secretPattern.MatchString(arn):
		v.faults.add(arnPath, shown, "must be the ARN of a secret (arn:aws:secretsmanager:region:account:secret:name)")
	}
	switch typePath := path + ".MediaUriType"; m.MediaUriType {
	case RTSP, File:
	case "":
		if v.mediaURI {
			return
		}
		v.faults.add(typePath, "", "is missing: it must be %s or %s", RTSP, File)
	default:
		v.faults.add(typePath, quote(string(m.MediaUriType)), "must be %s or %s", RTSP, File)
	}
}

func (v *validation) scheduleConfig(path string, s *ScheduleConfig) {
	if s == nil {
		return
	}
	expressionPath := path + ".ScheduleExpression"
	length := utf8.RuneCountInString(s.ScheduleExpression)
	switch {
	case s.ScheduleExpression == "":
		v.faults.add(expressionPath, "", "is missing: it must be a Quartz cron expression")
	case length < MinScheduleExpression || length > MaxScheduleExpression:
		v.faults.add(expressionPath, quote(s.ScheduleExpression), "must have %d to %d characters", MinScheduleExpression, MaxScheduleExpression)
	case strings.ContainsRune(s.ScheduleExpression, '\n'):
		v.faults.add(expressionPath, quote(s.ScheduleExpression), "must be one line")
	case v.schedule != nil:
		if err := v.schedule(s.ScheduleExpression); err != nil {
			v.faults.add(expressionPath, quote(s.ScheduleExpression), "must be a Quartz cron expression: %s", err)
		}
	}
	v.within(path+".DurationInSeconds", s.DurationInSeconds, MinDurationSeconds, MaxDurationSeconds)
}

func (v *validation) deletion(path string, d DeletionConfig) {
	if d.EdgeRetentionInHours != nil {
		v.within(path+".EdgeRetentionInHours", *d.EdgeRetentionInHours, MinRetentionHours, MaxRetentionHours)
	}
	size := d.LocalSizeConfig
	if size == nil {
		return
	}
	path += ".LocalSizeConfig"
	if size.MaxLocalMediaSizeInMB != nil {
		v.within(path+".MaxLocalMediaSizeInMB", *size.MaxLocalMediaSizeInMB, MinLocalSizeMB, MaxLocalSizeMB)
	}
	switch size.StrategyOnFullSize {
	case "", DeleteOldestMedia, DenyNewMedia:
	default:
		v.faults.add(path+".StrategyOnFullSize", quote(string(size.StrategyOnFullSize)), "must be %s or %s", DeleteOldestMedia, DenyNewMedia)
	}
}

func (v *validation) within(path string, value, least, most int) {
	if value < least || value > most {
		v.faults.add(path, strconv.Itoa(value), "must be %d to %d", least, most)
	}
}
