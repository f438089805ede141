package edgeconfig

// The limits of the KVS API (data types ScheduleConfig, DeletionConfig, LocalSizeConfig).
const (
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
