package edgeconfig

import "regexp"

// The limits of the KVS API (data types EdgeConfig, MediaSourceConfig, ScheduleConfig,
// DeletionConfig, LocalSizeConfig).
const (
	MaxHubDeviceArn       = 1024
	MinSecretArn          = 20
	MaxSecretArn          = 2048
	MinScheduleExpression = 11
	MaxScheduleExpression = 100
	MinDurationSeconds    = 60
	MaxDurationSeconds    = 3600
	MinRetentionHours     = 1
	MaxRetentionHours     = 720
	DefaultRetentionHours = 720
	MinLocalSizeMB        = 64
	MaxLocalSizeMB        = 2_000_000
)

// The patterns of the KVS API, anchored. The groups of hubPattern are partition, region, account
// and thing.
var (
	hubPattern    = regexp.MustCompile(`^arn:([a-z\d-]+):iot:([a-z0-9-]+):([0-9]+):thing/([a-zA-Z0-9_.-]+)$`)
	plainName     = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	secretPattern = regexp.MustCompile(`^arn:[a-z\d-]+:secretsmanager:[a-z0-9-]+:[0-9]+:secret:[a-zA-Z0-9_.-]+$`)
)
