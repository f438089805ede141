package settings

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
)

// The environment variables that the agent reads.
const (
	EnvRegion             = "AWS_REGION"
	EnvCACert             = "AWS_IOT_CA_CERT"
	EnvCoreCert           = "AWS_IOT_CORE_CERT"
	EnvCorePrivateKey     = "AWS_IOT_CORE_PRIVATE_KEY"
	EnvCredentialEndpoint = "AWS_IOT_CORE_CREDENTIAL_ENDPOINT"
	EnvDataEndpoint       = "AWS_IOT_CORE_DATA_ATS_ENDPOINT"
	EnvRoleAlias          = "AWS_IOT_CORE_ROLE_ALIAS"
	EnvThingName          = "AWS_IOT_CORE_THING_NAME"
	EnvCloudWatchEnabled  = "AWS_KVS_EDGE_CLOUD_WATCH_ENABLED"
	EnvLogLevel           = "AWS_KVS_EDGE_LOG_LEVEL"
	EnvLogMaxFileSize     = "AWS_KVS_EDGE_LOG_MAX_FILE_SIZE"
	EnvLogOutputDirectory = "AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY"
	EnvLogRolloverCount   = "AWS_KVS_EDGE_LOG_ROLLOVER_COUNT"
	EnvRecordingDirectory = "AWS_KVS_EDGE_RECORDING_DIRECTORY"
	EnvAccountID          = "AWS_KVS_EDGE_ACCOUNT_ID"
	EnvStateDirectory     = "AWS_KVS_EDGE_STATE_DIRECTORY"
	EnvMediaDirectory     = "AWS_KVS_EDGE_MEDIA_DIRECTORY"
	EnvSocket             = "AWS_KVS_EDGE_SOCKET"
	EnvSegmentDuration    = "AWS_KVS_EDGE_SEGMENT_DURATION"
	EnvFragmentDuration   = "AWS_KVS_EDGE_FRAGMENT_DURATION"
	EnvFlushInterval      = "AWS_KVS_EDGE_FSYNC_INTERVAL"
	EnvMinFreeDisk        = "AWS_KVS_EDGE_MIN_FREE_DISK"
	EnvHoldMax            = "AWS_KVS_EDGE_HOLD_MAX"
	EnvDeleteAfter        = "AWS_KVS_EDGE_DELETE_AFTER"
	EnvMetricsAddress     = "AWS_KVS_EDGE_METRICS_ADDRESS"
	EnvWebAddress         = "AWS_KVS_EDGE_WEB_ADDRESS"
	EnvWebCert            = "AWS_KVS_EDGE_WEB_CERT"
	EnvWebKey             = "AWS_KVS_EDGE_WEB_PRIVATE_KEY"
	EnvUploadMode         = "AWS_KVS_EDGE_UPLOAD_MODE"
	EnvUploadMaxBitrate   = "AWS_KVS_EDGE_UPLOAD_MAX_BITRATE"
	EnvUploadCap          = meter.Setting
	EnvFragmentTags       = "AWS_KVS_EDGE_FRAGMENT_TAGS"
	EnvCABundle           = "AWS_CA_BUNDLE"
	EnvCertFile           = "SSL_CERT_FILE" // crypto/x509
	EnvRTSPTransport      = "AWS_KVS_EDGE_RTSP_TRANSPORT"
	EnvRTSPSCACert        = "AWS_KVS_EDGE_RTSPS_CA_CERT"
	EnvTimestampSource    = "AWS_KVS_EDGE_TIMESTAMP_SOURCE"
	EnvAudio              = "AWS_KVS_EDGE_AUDIO"
	EnvStreamsDirectory   = "AWS_KVS_EDGE_STREAMS_DIRECTORY"
	EnvCloud              = "AWS_KVS_EDGE_CLOUD"
	EnvSiteWiseHub        = sitewise.Setting
	EnvSiteWiseTrickle    = "AWS_KVS_EDGE_SITEWISE_TRICKLE"
	EnvSiteWiseRetention  = "AWS_KVS_EDGE_SITEWISE_STREAM_RETENTION"
	envSystemdStateDir    = "STATE_DIRECTORY"   // systemd.exec(5)
	envSystemdRuntimeDir  = "RUNTIME_DIRECTORY" // systemd.exec(5)
)

// What holds without a variable, and between which limits one may lie.
const (
	defaultLogMaxFileSize  = 20
	defaultLogRollover     = 10
	defaultLogDirectory    = "./log"
	defaultRecordings      = "."
	defaultStateDirectory  = "./state"
	defaultSegmentDuration = 5 * time.Minute
	minSegmentDuration     = time.Second
	maxSegmentDuration     = time.Hour
	defaultFlushInterval   = segment.DefaultFlushInterval
	minFlushInterval       = 100 * time.Millisecond
	maxFlushInterval       = time.Minute
	defaultStreamRetention = 168    // hours, as the edge connector has it
	maxStreamRetention     = 87_600 // KVS API, CreateStream, DataRetentionInHours
	SocketName             = "agent.sock"
	mediaName              = "media" // of the default media directory, beside the state
)

// LogLevels are the values of AWS_KVS_EDGE_LOG_LEVEL, as AWS's agent has them.
var LogLevels = []string{"OFF", "ALL", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}
