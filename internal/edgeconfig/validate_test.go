package edgeconfig

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The example of the KVS Developer Guide, "Deploy the edge agent".
const guideExample = `{
  "HubDeviceArn": "arn:aws:iot:us-west-2:123456789012:thing/kvs-edge-agent-demo",
  "RecorderConfig": {
    "MediaSourceConfig": {
      "MediaUriSecretArn": "arn:aws:secretsmanager:us-west-2:123456789012:secret:camera-1-a1B2c3",
      "MediaUriType": "RTSP_URI"
    },
    "ScheduleConfig": {"ScheduleExpression": "0 0 9,10,11,12,13,14,15,16 ? * * *", "DurationInSeconds": 3599}
  },
  "UploaderConfig": {"ScheduleConfig": {"ScheduleExpression": "0 0 9,10,11,12,13,14,15,16 ? * * *", "DurationInSeconds": 3599}},
  "DeletionConfig": {
    "EdgeRetentionInHours": 15,
    "LocalSizeConfig": {"MaxLocalMediaSizeInMB": 2800, "StrategyOnFullSize": "DELETE_OLDEST_MEDIA"},
    "DeleteAfterUpload": true
  }
}`

// sixFields stands for the scheduler's check, which knows the whole grammar.
func sixFields(expression string) error {
	if n := len(strings.Fields(expression)); n < 6 || n > 7 {
		return errors.New("it must have 6 or 7 fields")
	}
	return nil
}

func validate(data string) error {
	config, err := Parse([]byte(data))
	if err != nil {
		return err
	}
	return config.Validate(WithScheduleCheck(sixFields))
}

func TestGoodConfigurationsPass(t *testing.T) {
	t.Parallel()
	minimal := `{"HubDeviceArn":"arn:aws:iot:us-west-2:123456789012:thing/h",` +
		`"RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"arn:aws:secretsmanager:us-west-2:123456789012:secret:c",` +
		`"MediaUriType":"RTSP_URI"}}`
	for name, data := range map[string]string{
		"the guide's example": guideExample,
		"the least":           minimal + "}",
		"China":               strings.ReplaceAll(minimal, "arn:aws:", "arn:aws-cn:") + "}",
		"file":                strings.Replace(minimal, "RTSP_URI", "FILE_URI", 1) + "}",
		"unknown fields":      minimal + `,"Tomorrow":{"x":[1,2]}}`,
		"null is absent": minimal +
			`,"UploaderConfig":null,"DeletionConfig":{"EdgeRetentionInHours":null,"LocalSizeConfig":null,"DeleteAfterUpload":null}}`,
		"empty uploader": minimal + `,"UploaderConfig":{}}`,
		"empty deletion": minimal + `,"DeletionConfig":{"LocalSizeConfig":{}}}`,
		"least limits":   minimal + `,"DeletionConfig":{"EdgeRetentionInHours":1,"LocalSizeConfig":{"MaxLocalMediaSizeInMB":64}}}`,
		"greatest limits": minimal +
			`,"DeletionConfig":{"EdgeRetentionInHours":720,` +
			`"LocalSizeConfig":{"MaxLocalMediaSizeInMB":2000000,"StrategyOnFullSize":"DENY_NEW_MEDIA"}}}`,
		"shortest schedule": minimal + `,"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 * * * ?","DurationInSeconds":60}}}`,
		"longest schedule": minimal + `,"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 0 * * * ` +
			strings.Repeat("1", 90) + `","DurationInSeconds":3600}}}`,
		"names with everything": strings.Replace(minimal, "thing/h", "thing/Az_0.-", 1) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := validate(data); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// edit returns the guide's example with one field set (or removed, when value is nil).
func edit(path string, value any) string {
	var document map[string]any
	if err := json.Unmarshal([]byte(guideExample), &document); err != nil {
		panic(err)
	}
	names := strings.Split(path, ".")
	at := document
	for _, name := range names[:len(names)-1] {
		at = at[name].(map[string]any)
	}
	if last := names[len(names)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
	data, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(data)
}

type badConfiguration struct {
	name string
	data string
	want FieldFault
}

// badConfigurations have one fault each.
func badConfigurations() []badConfiguration {
	const (
		hub       = "HubDeviceArn"
		source    = "RecorderConfig.MediaSourceConfig"
		arn       = source + ".MediaUriSecretArn"
		uri       = source + ".MediaUriType"
		recording = "RecorderConfig.ScheduleConfig"
		upload    = "UploaderConfig.ScheduleConfig"
		hours     = "DeletionConfig.EdgeRetentionInHours"
		after     = "DeletionConfig.DeleteAfterUpload"
		size      = "DeletionConfig.LocalSizeConfig"
		megabytes = size + ".MaxLocalMediaSizeInMB"
		strategy  = size + ".StrategyOnFullSize"

		thingRule    = "must be the ARN of an IoT thing (arn:aws:iot:region:account:thing/name)"
		secretRule   = "must be the ARN of a secret (arn:aws:secretsmanager:region:account:secret:name)"
		quartzRule   = "must be a Quartz cron expression: it must have 6 or 7 fields"
		lengthRule   = "must have 11 to 100 characters"
		wholeRule    = "must be a whole number"
		durationRule = "must be 60 to 3600"
		hoursRule    = "must be 1 to 720"
		sizeRule     = "must be 64 to 2000000"
	)
	longThing := "arn:aws:iot:us-west-2:123456789012:thing/" + strings.Repeat("x", 1000)
	longSecret := "arn:aws:secretsmanager:us-west-2:123456789012:secret:" + strings.Repeat("x", 2000)
	return []badConfiguration{
		{"empty", ``, FieldFault{"", "", "is not JSON: it ends too early"}},
		{"blank", "  \n", FieldFault{"", "", "is not JSON: it ends too early"}},
		{"cut off", `{"HubDeviceArn":"arn`, FieldFault{"", "", "is not JSON: it ends too early"}},
		{"not JSON", `HubDeviceArn=x`, FieldFault{"", "", "is not JSON: invalid character 'H' looking for beginning of value"}},
		{"null", `null`, FieldFault{"", "", "must be an object"}},
		{"list", `[]`, FieldFault{"", "", "must be an object"}},
		{"string", `"x"`, FieldFault{"", "", "must be an object"}},
		{"number", `5`, FieldFault{"", "", "must be an object"}},
		{"two documents", guideExample + "{}", FieldFault{"", "", "is followed by more text"}},
		{"trailing brace", guideExample + "}", FieldFault{"", "", "is followed by more text"}},

		{"hub missing", edit(hub, nil), FieldFault{hub, "", "is missing: it must be the ARN of the hub's IoT thing"}},
		{"hub empty", edit(hub, ""), FieldFault{hub, "", "is missing: it must be the ARN of the hub's IoT thing"}},
		{"hub a number", edit(hub, 7), FieldFault{hub, "the number 7", "must be a string"}},
		{"hub a list", edit(hub, []int{}), FieldFault{hub, "a list", "must be a string"}},
		{"hub a name", edit(hub, "my-hub"), FieldFault{hub, `"my-hub"`, thingRule}},
		{"hub of another service", edit(hub, "arn:aws:s3:::thing/x"), FieldFault{hub, `"arn:aws:s3:::thing/x"`, thingRule}},
		{"hub not a thing", edit(hub, "arn:aws:iot:us-west-2:123456789012:cert/x"),
			FieldFault{hub, `"arn:aws:iot:us-west-2:123456789012:cert/x"`, thingRule}},
		{"hub without region", edit(hub, "arn:aws:iot::123456789012:thing/x"), FieldFault{hub, `"arn:aws:iot::123456789012:thing/x"`, thingRule}},
		{"hub without account", edit(hub, "arn:aws:iot:us-west-2::thing/x"), FieldFault{hub, `"arn:aws:iot:us-west-2::thing/x"`, thingRule}},
		{"hub without name", edit(hub, "arn:aws:iot:us-west-2:123456789012:thing/"),
			FieldFault{hub, `"arn:aws:iot:us-west-2:123456789012:thing/"`, thingRule}},
		{"hub with a slash", edit(hub, "arn:aws:iot:us-west-2:123456789012:thing/a/b"),
			FieldFault{hub, `"arn:aws:iot:us-west-2:123456789012:thing/a/b"`, thingRule}},
		{"hub with a blank", edit(hub, "arn:aws:iot:us-west-2:123456789012:thing/a b"),
			FieldFault{hub, `"arn:aws:iot:us-west-2:123456789012:thing/a b"`, thingRule}},
		{"hub with a line end", edit(hub, "arn:aws:iot:us-west-2:123456789012:thing/x\n"),
			FieldFault{hub, `"arn:aws:iot:us-west-2:123456789012:thing/x\n"`, thingRule}},
		{"hub too long", edit(hub, longThing), FieldFault{hub, quote(longThing), "must have at most 1024 characters"}},

		{"recorder missing", edit("RecorderConfig", nil), FieldFault{source, "", "is missing: it must name the secret with the camera's URL"}},
		{"recorder a string", edit("RecorderConfig", "on"), FieldFault{"RecorderConfig", "a string", "must be an object"}},
		{"recorder a list", edit("RecorderConfig", []int{1}), FieldFault{"RecorderConfig", "a list", "must be an object"}},
		{"source missing", edit(source, nil), FieldFault{source, "", "is missing: it must name the secret with the camera's URL"}},
		{"source empty", edit(source, map[string]any{}), FieldFault{source, "", "is missing: it must name the secret with the camera's URL"}},
		{"source true", edit(source, true), FieldFault{source, "true", "must be an object"}},
		{"secret missing", edit(arn, nil), FieldFault{arn, "", "is missing: it must be the ARN of the secret with the camera's URL"}},
		{"secret an object", edit(arn, map[string]any{}), FieldFault{arn, "an object", "must be a string"}},
		{"secret too short", edit(arn, "arn:aws:x"), FieldFault{arn, `"arn:aws:x"`, "must have 20 to 2048 characters"}},
		{"secret too long", edit(arn, longSecret), FieldFault{arn, quote(longSecret), "must have 20 to 2048 characters"}},
		{"secret a camera URL", edit(arn, "rtsp://admin:hunter2@10.0.0.7/stream"), FieldFault{arn, "[redacted]", secretRule}},
		{"secret a disguised URL", edit(arn, "arn:rtsp://admin:hunter2@10.0.0.7/"), FieldFault{arn, "[redacted]", secretRule}},
		{"secret of another service", edit(arn, "arn:aws:ssm:us-west-2:123456789012:parameter/x"),
			FieldFault{arn, `"arn:aws:ssm:us-west-2:123456789012:parameter/x"`, secretRule}},
		{"secret without name", edit(arn, "arn:aws:secretsmanager:us-west-2:123456789012:secret:"),
			FieldFault{arn, `"arn:aws:secretsmanager:us-west-2:123456789012:secret:"`, secretRule}},
		{"secret with a slash", edit(arn, "arn:aws:secretsmanager:us-west-2:1:secret:a/b"),
			FieldFault{arn, `"arn:aws:secretsmanager:us-west-2:1:secret:a/b"`, secretRule}},
		{"kind missing", edit(uri, nil), FieldFault{uri, "", "is missing: it must be RTSP_URI or FILE_URI"}},
		{"kind unknown", edit(uri, "HLS_URI"), FieldFault{uri, `"HLS_URI"`, "must be RTSP_URI or FILE_URI"}},
		{"kind in small letters", edit(uri, "rtsp_uri"), FieldFault{uri, `"rtsp_uri"`, "must be RTSP_URI or FILE_URI"}},
		{"kind a number", edit(uri, 1), FieldFault{uri, "the number 1", "must be a string"}},

		{"recording schedule empty", edit(recording+".ScheduleExpression", ""), FieldFault{recording + ".ScheduleExpression", "",
			"is missing: it must be a Quartz cron expression"}},
		{"recording schedule missing", edit(recording+".ScheduleExpression", nil), FieldFault{recording + ".ScheduleExpression", "",
			"is missing: it must be a Quartz cron expression"}},
		{"recording schedule too short", edit(recording+".ScheduleExpression", "0 0 * * *"), FieldFault{recording + ".ScheduleExpression",
			`"0 0 * * *"`, lengthRule}},
		{"recording schedule too long", edit(recording+".ScheduleExpression", "0 0 * * * "+strings.Repeat("1", 91)), FieldFault{recording +
			".ScheduleExpression", quote("0 0 * * * " + strings.Repeat("1", 91)), lengthRule}},
		{"recording schedule too many bytes are few letters", edit(recording+".ScheduleExpression", "äöüäöüäöü"), FieldFault{recording +
			".ScheduleExpression", `"äöüäöüäöü"`, lengthRule}},
		{"recording schedule of two lines", edit(recording+".ScheduleExpression", "0 0 * * * ?\n2026"), FieldFault{recording +
			".ScheduleExpression", `"0 0 * * * ?\n2026"`, "must be one line"}},
		{"recording schedule of five fields", edit(recording+".ScheduleExpression", "0 10,20,30 * * ?"), FieldFault{recording +
			".ScheduleExpression", `"0 10,20,30 * * ?"`, quartzRule}},
		{"recording schedule a list", edit(recording+".ScheduleExpression", []string{"0"}), FieldFault{recording + ".ScheduleExpression",
			"a list", "must be a string"}},
		{"recording schedule as a string", edit(recording, "0 0 * * * ?"), FieldFault{recording, "a string", "must be an object"}},
		{"recording duration missing", edit(recording+".DurationInSeconds", nil), FieldFault{recording + ".DurationInSeconds", "0",
			durationRule}},
		{"recording duration too short", edit(recording+".DurationInSeconds", 59), FieldFault{recording + ".DurationInSeconds", "59",
			durationRule}},
		{"recording duration too long", edit(recording+".DurationInSeconds", 3601), FieldFault{recording + ".DurationInSeconds", "3601",
			durationRule}},
		{"recording duration negative", edit(recording+".DurationInSeconds", -60), FieldFault{recording + ".DurationInSeconds", "-60",
			durationRule}},
		{"recording duration broken", edit(recording+".DurationInSeconds", 60.5), FieldFault{recording + ".DurationInSeconds", "60.5",
			wholeRule}},
		{"recording duration a string", edit(recording+".DurationInSeconds", "60"), FieldFault{recording + ".DurationInSeconds", "a string",
			wholeRule}},
		{"recording duration false", edit(recording+".DurationInSeconds", false), FieldFault{recording + ".DurationInSeconds", "false",
			wholeRule}},
		{"recording duration huge", edit(recording+".DurationInSeconds", json.Number("99999999999999999999")), FieldFault{recording +
			".DurationInSeconds", "99999999999999999999", wholeRule}},

		{"upload schedule of five fields", edit(upload+".ScheduleExpression", "0 0 12 * ? xx yy zz"), FieldFault{upload +
			".ScheduleExpression", `"0 0 12 * ? xx yy zz"`, quartzRule}},
		{"upload schedule too short", edit(upload+".ScheduleExpression", "?"), FieldFault{upload + ".ScheduleExpression", `"?"`, lengthRule}},
		{"upload duration too short", edit(upload+".DurationInSeconds", 1), FieldFault{upload + ".DurationInSeconds", "1", durationRule}},
		{"upload duration too long", edit(upload+".DurationInSeconds", 86400), FieldFault{upload + ".DurationInSeconds", "86400", durationRule}},
		{"uploader a number", edit("UploaderConfig", 1), FieldFault{"UploaderConfig", "the number 1", "must be an object"}},
		{"upload schedule config a list", edit(upload, []int{}), FieldFault{upload, "a list", "must be an object"}},

		{"deletion a string", edit("DeletionConfig", "never"), FieldFault{"DeletionConfig", "a string", "must be an object"}},
		{"retention zero", edit(hours, 0), FieldFault{hours, "0", hoursRule}},
		{"retention negative", edit(hours, -1), FieldFault{hours, "-1", hoursRule}},
		{"retention too long", edit(hours, 721), FieldFault{hours, "721", hoursRule}},
		{"retention a string", edit(hours, "24"), FieldFault{hours, "a string", wholeRule}},
		{"retention broken", edit(hours, 0.5), FieldFault{hours, "0.5", wholeRule}},
		{"retention exponent", edit(hours, json.Number("1e2")), FieldFault{hours, "1e2", wholeRule}},
		{"size zero", edit(megabytes, 0), FieldFault{megabytes, "0", sizeRule}},
		{"size too small", edit(megabytes, 63), FieldFault{megabytes, "63", sizeRule}},
		{"size too great", edit(megabytes, 2_000_001), FieldFault{megabytes, "2000001", sizeRule}},
		{"size a string", edit(megabytes, "2 GB"), FieldFault{megabytes, "a string", wholeRule}},
		{"size config a number", edit(size, 2800), FieldFault{size, "the number 2800", "must be an object"}},
		{"strategy unknown", edit(strategy, "DELETE_NEWEST_MEDIA"), FieldFault{strategy, `"DELETE_NEWEST_MEDIA"`,
			"must be DELETE_OLDEST_MEDIA or DENY_NEW_MEDIA"}},
		{"strategy a bool", edit(strategy, true), FieldFault{strategy, "true", "must be a string"}},
		{"delete after upload a string", edit(after, "yes"), FieldFault{after, "a string", "must be true or false"}},
		{"delete after upload a number", edit(after, 1), FieldFault{after, "the number 1", "must be true or false"}},
	}
}

func TestBadConfigurationsAreNamedByPathValueAndRule(t *testing.T) {
	t.Parallel()
	rows := badConfigurations()
	if len(rows) < 60 {
		t.Fatalf("only %d bad configurations", len(rows))
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var invalid *Invalid
			if err := validate(row.data); !errors.As(err, &invalid) {
				t.Fatalf("got error %v, want an *Invalid", err)
			}
			if diff := cmp.Diff([]FieldFault{row.want}, invalid.Faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	err := validate(`{"HubDeviceArn":"hub","RecorderConfig":{"MediaSourceConfig":{"MediaUriType":"X"},` +
		`"ScheduleConfig":{"DurationInSeconds":1}},` +
		`"DeletionConfig":{"EdgeRetentionInHours":1000,"LocalSizeConfig":{"MaxLocalMediaSizeInMB":1}}}`)
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("got error %v, want an *Invalid", err)
	}
	if len(invalid.Faults) != 7 {
		t.Errorf("got %d faults, want 7: %v", len(invalid.Faults), err)
	}
	if want := "DeletionConfig.EdgeRetentionInHours is 1000: it must be 1 to 720"; !strings.Contains(err.Error(), want) {
		t.Errorf("the sentence lacks %q: %v", want, err)
	}

	err = validate(`{"HubDeviceArn":1,"RecorderConfig":{"MediaSourceConfig":{"MediaUriType":2},"ScheduleConfig":{"DurationInSeconds":"1"}}}`)
	if !errors.As(err, &invalid) || len(invalid.Faults) != 3 {
		t.Errorf("got %v, want three wrong types", err)
	}
}

func TestHubARNs(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]Hub{
		HubARN("us-west-2", "123456789012", "hub-1"):     {"aws", "us-west-2", "123456789012", "hub-1"},
		HubARN("cn-north-1", "123456789012", "hub-1"):    {"aws-cn", "cn-north-1", "123456789012", "hub-1"},
		HubARN("us-gov-west-1", "123456789012", "hub-1"): {"aws-us-gov", "us-gov-west-1", "123456789012", "hub-1"},
	} {
		got, err := ParseHub(arn)
		if err != nil || got != want || got.ARN() != arn {
			t.Errorf("%s: got %+v, %v; want %+v", arn, got, err, want)
		}
	}
	if _, err := ParseHub("arn:aws:iot:us-west-2:123456789012:thinggroup/x"); err == nil {
		t.Error("a thing group was accepted as a hub")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(guideExample))
	for _, seed := range []string{``, `{}`, `null`, `{"RecorderConfig":[]}`, `{"DeletionConfig":{"EdgeRetentionInHours":1e400}}`,
		`{"hubdevicearn":"x"}`, strings.Repeat("[", 100)} {
		f.Add([]byte(seed))
	}
	for _, row := range badConfigurations() {
		f.Add([]byte(row.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse(data)
		if err != nil {
			var invalid *Invalid
			if !errors.As(err, &invalid) || len(invalid.Faults) == 0 {
				t.Fatalf("%v is not an *Invalid with faults", err)
			}
			return
		}
		if config.Validate(WithScheduleCheck(sixFields)) != nil {
			return
		}
		again, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("its own JSON is refused: %v", err)
		}
		if diff := cmp.Diff(config, back); diff != "" {
			t.Fatalf("changed by a round trip:\n%s", diff)
		}
	})
}

// What AWS documents as the default applies where a field, or all around it, is absent or null.
func TestDefaultsOfDeletion(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]struct {
		retention time.Duration
		deletes   bool
		bytes     int64
		onFull    StrategyOnFullSize
	}{
		`{}`:                       {720 * time.Hour, true, 0, DeleteOldestMedia},
		`{"DeletionConfig": null}`: {720 * time.Hour, true, 0, DeleteOldestMedia},
		`{"DeletionConfig": {}}`:   {720 * time.Hour, true, 0, DeleteOldestMedia},
		`{"DeletionConfig": {"EdgeRetentionInHours": 1, "DeleteAfterUpload": false}}`:       {time.Hour, false, 0, DeleteOldestMedia},
		`{"DeletionConfig": {"DeleteAfterUpload": true, "LocalSizeConfig": {}}}`:            {720 * time.Hour, true, 0, DeleteOldestMedia},
		`{"DeletionConfig": {"LocalSizeConfig": {"MaxLocalMediaSizeInMB": 2800}}}`:          {720 * time.Hour, true, 2.8e9, DeleteOldestMedia},
		`{"DeletionConfig": {"LocalSizeConfig": {"StrategyOnFullSize": "DENY_NEW_MEDIA"}}}`: {720 * time.Hour, true, 0, DenyNewMedia},
		`{"DeletionConfig": {"LocalSizeConfig": {"MaxLocalMediaSizeInMB": null, "StrategyOnFullSize": "DELETE_OLDEST_MEDIA"}}}`: {
			720 * time.Hour, true, 0, DeleteOldestMedia},
	} {
		c, err := Parse([]byte(data))
		bytes, onFull := c.LocalLimit()
		if err != nil || c.Retention() != want.retention || c.DeleteAfterUpload() != want.deletes || bytes != want.bytes ||
			onFull != want.onFull {
			t.Errorf("%s: kept for %s, deleted after the upload: %v, up to %d bytes, then %s (%v); want %+v", data, c.Retention(),
				c.DeleteAfterUpload(), bytes, onFull, err, want)
		}
	}
}

// A person who misspells a field receives an error; a newer cloud may say more than an older agent knows.
func TestFieldsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	for data, path := range map[string]string{
		`{"Deletion": {}}`: "Deletion",
		`{"DeletionConfig": {"EdgeRetentionInHour": 1}}`:               "EdgeRetentionInHour",
		`{"DeletionConfig": {"LocalSizeConfig": {"MaxSizeInMB": 10}}}`: "MaxSizeInMB",
	} {
		if _, err := Parse([]byte(data)); err != nil {
			t.Errorf("of the cloud: %v", err)
		}
		if _, err := ParseKnown([]byte(data)); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("of a person: %v", err)
		}
	}
}
