// Package settings owns everything that turns the environment into values: the variables with their meanings and
// defaults, where they come from, the hub's identity, what Greengrass adds, and which changes need a restart. It must
// not act on any of the values.
package settings

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

// Settings is the agent's configuration from its environment. The names and defaults of AWS's
// agent hold; what is ours begins with AWS_KVS_EDGE_ as well.
// Source: KVS Developer Guide, "Deploy the edge agent", environment variables.
type Settings struct {
	Region string
	IoT    IoT
	// AccountID completes this hub's ARN. Without it, it is asked of STS with the hub's own credentials.
	AccountID  string
	CloudWatch bool
	Log        Log
	// RecordingDirectory holds the media.
	RecordingDirectory string
	// StateDirectory holds the last good configuration and what must outlive the process.
	StateDirectory string
	// MediaDirectory holds the files that configurations with FILE_URI may play.
	MediaDirectory string
	// Socket is the path of the local API.
	Socket string
	// MetricsAddress is where Prometheus text is served beside the socket; empty for nowhere.
	MetricsAddress string
	// UploadMode is whether streams without a tag of their own are uploaded in their windows or live.
	UploadMode UploadMode
	// NoFragmentTags leaves out the tags that say where fragments come from.
	NoFragmentTags bool
	// UploadCap is the most that all streams together send; nil without a limit.
	UploadCap *pace.Bandwidth
	// CABundle, when set, replaces the system's roots towards AWS services (AWS_CA_BUNDLE).
	CABundle string
	// CertFile has roots towards AWS services beside those of the system's directories (SSL_CERT_FILE).
	CertFile string
	Record
}

// Camera say how cameras are talked to.
type Camera struct {
	Transport string // recorder.TransportAuto, TransportTCP or TransportUDP
	NoAudio   bool   // cameras' audio is not recorded
	// TimestampSource is recorder.TimestampHub or TimestampCamera.
	TimestampSource string
	CACert          string         // file: roots that sign the certificates of rtsps:// cameras; "": the system's
	Roots           *x509.CertPool // those of CACert
}

// UploadMode is when streams are uploaded.
type UploadMode string

// The upload modes.
const (
	UploadScheduled UploadMode = "scheduled" // in the windows of their schedule, or hourly without one
	UploadLive      UploadMode = "live"      // always, each fragment as soon as it is complete
)

// Log says what is logged and where.
type Log struct {
	Level         string
	Directory     string
	MaxFileSizeMB int // 0: no limit
	RolloverCount int
}

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
	EnvFlushInterval      = "AWS_KVS_EDGE_FSYNC_INTERVAL"
	EnvMinFreeDisk        = "AWS_KVS_EDGE_MIN_FREE_DISK"
	EnvMetricsAddress     = "AWS_KVS_EDGE_METRICS_ADDRESS"
	EnvUploadMode         = "AWS_KVS_EDGE_UPLOAD_MODE"
	EnvUploadMaxBitrate   = "AWS_KVS_EDGE_UPLOAD_MAX_BITRATE"
	EnvFragmentTags       = "AWS_KVS_EDGE_FRAGMENT_TAGS"
	EnvCABundle           = "AWS_CA_BUNDLE"
	EnvCertFile           = "SSL_CERT_FILE" // crypto/x509
	EnvRTSPTransport      = "AWS_KVS_EDGE_RTSP_TRANSPORT"
	EnvRTSPSCACert        = "AWS_KVS_EDGE_RTSPS_CA_CERT"
	EnvTimestampSource    = "AWS_KVS_EDGE_TIMESTAMP_SOURCE"
	EnvAudio              = "AWS_KVS_EDGE_AUDIO"
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
	SocketName             = "agent.sock"
	mediaName              = "media" // of the default media directory, beside the state
)

// sdkEndpoints are the variables that the SDK reads, for each service that is asked.
var sdkEndpoints = []string{
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL_KINESIS_VIDEO", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_STS",
}

// LogLevels are the values of AWS_KVS_EDGE_LOG_LEVEL, as AWS's agent has them.
var LogLevels = []string{"OFF", "ALL", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}

var (
	regionPattern    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)
	accountPattern   = regexp.MustCompile(`^\d{12}$`)
	thingPattern     = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`) // IoT API, CreateThing
	roleAliasPattern = regexp.MustCompile(`^[\w=,@-]{1,128}$`)       // IoT API, CreateRoleAlias
	addressPattern   = regexp.MustCompile(`^([A-Za-z0-9.-]*|\[[0-9A-Fa-f:.%]+\]):\d{1,5}$`)
	urlPattern       = regexp.MustCompile(`^https?://[^/\s]+(/\S*)?$`)
	endpointPattern  = regexp.MustCompile(`^[A-Za-z0-9.-]+(:\d{1,5})?$`) // host or host:port
)

// Error holds everything that is wrong with the environment.
type Error struct{ Faults []string }

// Error names all faults, one a line.
func (e *Error) Error() string {
	return "wrong settings:\n  " + strings.Join(e.Faults, "\n  ")
}

// FromEnv reads the settings. The error is a *Error that names every fault.
func FromEnv(lookup func(string) (string, bool)) (Settings, error) {
	return fromEnv(lookup, liteDirectory)
}

func fromEnv(lookup func(string) (string, bool), lite string) (Settings, error) {
	e := environment{lookup: lookup}
	lookup, greengrass, err := withGreengrass(lookup, lite)
	if err != nil {
		e.fault("%s", err)
	}
	e.lookup = lookup
	s := Settings{
		Region:     e.required(EnvRegion, "the AWS region, such as us-west-2"),
		IoT:        e.identity(greengrass),
		AccountID:  e.optional(EnvAccountID, ""),
		CloudWatch: e.boolean(EnvCloudWatchEnabled, false),
		Log: Log{
			Level:         strings.ToUpper(e.optional(EnvLogLevel, "INFO")),
			Directory:     e.optional(EnvLogOutputDirectory, defaultLogDirectory),
			MaxFileSizeMB: e.number(EnvLogMaxFileSize, defaultLogMaxFileSize, 0, 10_000),
			RolloverCount: e.number(EnvLogRolloverCount, defaultLogRollover, 0, 10_000),
		},
		RecordingDirectory: e.optional(EnvRecordingDirectory, defaultRecordings),
		StateDirectory:     e.optional(EnvStateDirectory, e.optional(envSystemdStateDir, defaultStateDirectory)),
		Socket:             SocketPath(lookup),
		MetricsAddress:     e.optional(EnvMetricsAddress, ""),
		UploadMode:         UploadMode(e.oneOf(EnvUploadMode, string(UploadScheduled), string(UploadLive))),
		NoFragmentTags:     e.oneOf(EnvFragmentTags, "on", "off") == "off",
		CABundle:           e.optional(EnvCABundle, ""),
		CertFile:           e.optional(EnvCertFile, ""),
		Record:             e.recordSettings(),
	}
	if s.UploadCap, err = pace.ParseBandwidth(e.optional(EnvUploadMaxBitrate, "")); err != nil {
		e.fault("%s: %s", EnvUploadMaxBitrate, err)
	}
	s.MediaDirectory = e.optional(EnvMediaDirectory, filepath.Join(s.StateDirectory, mediaName))
	e.check(s)
	if len(e.faults) > 0 {
		slices.Sort(e.faults)
		return Settings{}, &Error{Faults: e.faults}
	}
	return s, nil
}

// check finds what is set, but wrong.
func (e *environment) check(s Settings) {
	e.match(EnvRegion, s.Region, regionPattern, "a region such as us-west-2")
	if tz, ok := e.lookup("TZ"); ok && scheduler.CheckZone(tz) != nil {
		e.fault("TZ is %q, but must be a time zone such as Europe/Berlin", tz)
	}
	for _, name := range sdkEndpoints {
		e.match(name, e.optional(name, ""), urlPattern, "a URL such as https://localhost:4566")
	}
	e.match(EnvAccountID, s.AccountID, accountPattern, "an account number of 12 digits")
	e.match(EnvThingName, s.IoT.ThingName, thingPattern, "a thing name: up to 128 letters, digits, : _ -")
	e.match(EnvRoleAlias, s.IoT.RoleAlias, roleAliasPattern, "a role alias: up to 128 letters, digits, _ = , @ -")
	e.match(EnvMetricsAddress, s.MetricsAddress, addressPattern, "[host]:port, such as :9464 for this machine only or 0.0.0.0:9464")
	if !slices.Contains(LogLevels, s.Log.Level) {
		e.fault("%s is %q, but must be one of %s", EnvLogLevel, s.Log.Level, strings.Join(LogLevels, ", "))
	}
	e.checkFiles(s)
}

// SocketPath is where agent and command line meet: what AWS_KVS_EDGE_SOCKET says, else in systemd's
// runtime directory, else beside the state.
func SocketPath(lookup func(string) (string, bool)) string {
	e := environment{lookup: lookup}
	if path := e.optional(EnvSocket, ""); path != "" {
		return path
	}
	if dir := e.optional(envSystemdRuntimeDir, ""); dir != "" {
		return filepath.Join(dir, SocketName)
	}
	if dir := e.optional(EnvStateDirectory, ""); dir != "" {
		return filepath.Join(dir, SocketName)
	}
	const system = "/run/kvs-edge-agent"
	if info, err := os.Stat(system); err == nil && info.IsDir() {
		return filepath.Join(system, SocketName)
	}
	return filepath.Join(defaultStateDirectory, SocketName)
}
