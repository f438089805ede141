package health

import "strings"

// Declaration says what a condition is, once for the whole agent: `internal/archtest` reads the source and fails
// when a fault has a code that is not declared, or a declared code has no row in a test of its end.
type Declaration struct {
	Code     string
	Severity Severity // the worst that it has
	Class    Class    // empty: it depends on the cause
	Title    string
	Anchor   string   // the heading of docs/troubleshooting.md that helps
	Jobs     []string // the components that report it
}

// Headings of docs/troubleshooting.md.
const (
	anchorSettings    = "settings-that-were-changed"
	anchorCameras     = "cameras"
	anchorSecret      = "the-secret"
	anchorCredentials = "credentials-certificate-clock"
	anchorConfig      = "configuration"
	anchorAgent       = "the-agent-itself"
	anchorDisk        = "disk-and-upload"
)

var (
	cloudAndRecorder = []string{JobCloud, JobRecorder}
	guardedJobs      = append(jobNames(), JobRetention, JobConfig, JobCloud, JobStore, JobMetrics, JobSettings, JobAPI)
)

// Declarations lists every condition of the agent.
var Declarations = []Declaration{
	// Recording.
	{"camera", Failed, "", "No video from the camera", anchorCameras, []string{JobRecorder}},
	{"camera-data", Failed, SystemError, "Video arrives damaged", anchorCameras, []string{JobRecorder}},
	{"recording", Failed, "", "Recording paused by the disk", anchorDisk, []string{JobRecorder}},
	{"timestamps", Info, SystemError, "Odd timestamps of the camera", anchorCameras, []string{JobRecorder}},
	{"keyframe-interval", Info, UserError, "Keyframes too rare", anchorCameras, []string{JobRecorder}},
	{"camera-clock", Info, UserError, "The camera's clock is not used", anchorCameras, []string{JobRecorder}},
	{"clock-step", Info, SystemError, "Recorded before the clock was set", anchorCredentials, []string{JobRecorder}},
	{"times-ahead", Info, SystemError, "Times were ahead of the clock", anchorCredentials, []string{JobRecorder}},
	{"camera-source", Info, "", "Packets of another sender", anchorCameras, []string{JobRecorder}},
	{"audio", Info, UserError, "Audio is not recorded", anchorCameras, []string{JobRecorder}},
	{"other-tracks", Info, UserError, "Other tracks of the camera are not recorded", anchorCameras, []string{JobRecorder}},
	{"audio-rate", Degraded, UserError, "Audio is left out", anchorCameras, []string{JobRecorder}},
	{"audio-loss", Degraded, SystemError, "Audio arrives incomplete", anchorCameras, []string{JobRecorder}},
	{"secret-not-found", Failed, UserError, "The secret does not exist", anchorSecret, []string{JobRecorder}},
	{"secret-denied", Failed, "", "The secret may not be read", anchorSecret, []string{JobRecorder}},
	{"secret-content", Failed, UserError, "The secret holds no camera URL", anchorSecret, []string{JobRecorder}},
	{"secret-unreachable", Failed, SystemError, "Secrets Manager cannot be reached", anchorSecret, []string{JobRecorder}},
	{"camera-secret", Failed, "", "A camera's secret cannot be used", anchorSecret, []string{JobConfig, JobRecorder}},
	// Jobs.
	{"job-ended", Failed, SystemError, "A job ended by itself", anchorAgent, jobNames()},
	{"internal-error", Failed, SystemError, "An internal error", anchorAgent, guardedJobs},
	// Upload.
	{"upload", Failed, "", "The upload is interrupted", anchorDisk, []string{JobUploader}},
	{"upload-refused", Degraded, SystemError, "A fragment was refused", anchorDisk, []string{JobUploader}},
	{"upload-breaks", Degraded, SystemError, "A fragment does not get through", anchorDisk, []string{JobUploader}},
	{"upload-tags", Degraded, SystemError, "Uploaded without tags", anchorDisk, []string{JobUploader}},
	{"audio-not-uploaded", Info, UserError, "Audio is not uploaded", anchorDisk, []string{JobUploader}},
	{"stream-tags", Info, UserError, "The stream's tags may not be read", anchorConfig, []string{JobUploader}},
	{"upload-disk", Degraded, SystemError, "A recording cannot be read", anchorDisk, []string{JobUploader}},
	// Disk and retention.
	{"disk", Degraded, "", "The recording disk fails", anchorDisk, []string{JobRetention, JobStore}},
	{"recordings-unreadable", Failed, SystemError, "Recordings cannot be read", anchorDisk, []string{JobStore}},
	{"quarantine", Info, SystemError, "Unreadable files were set aside", anchorDisk, []string{JobStore}},
	{"limit-reached", Failed, UserError, "The stream's size limit is reached", anchorDisk, []string{JobRetention}},
	{"disk-low", Failed, SystemError, "The disk is full", anchorDisk, []string{JobRetention}},
	{"disk-filled", Degraded, SystemError, "Other files fill the disk", anchorDisk, []string{JobRetention}},
	{"disk-not-freed", Degraded, SystemError, "The disk frees nothing", anchorDisk, []string{JobRetention}},
	{"recordings-held", Info, SystemError, "Another program holds recordings", anchorDisk, []string{JobRetention}},
	{"reserve-too-large", Degraded, UserError, "The reserve is larger than the disk", anchorDisk, []string{JobRetention}},
	{"policies", Info, SystemError, "What is kept is not noted", anchorDisk, []string{JobRetention}},
	{"deleted-before-upload", Degraded, SystemError, "Deleted before upload", anchorDisk, []string{JobRetention}},
	{"clock", Info, SystemError, "The clock is not trusted", anchorDisk, []string{JobRetention}},
	{"times-wrong", Info, SystemError, "Recordings with wrong times", anchorDisk, []string{JobRetention}},
	{"losses", Info, SystemError, "Losses are not kept", anchorDisk, []string{JobRetention}},
	// Configuration.
	{"config-state", Degraded, SystemError, "The configuration on disk", anchorConfig, []string{JobConfig}},
	{"config-refused", Degraded, UserError, "A configuration is refused", anchorConfig, []string{JobConfig}},
	{"config-message", Info, "", "A message is ignored", anchorConfig, []string{JobConfig}},
	{"config-apply", Failed, "", "A configuration cannot be applied", anchorConfig, []string{JobConfig}},
	{"stream-file", Degraded, UserError, "A stream file is wrong", anchorConfig, []string{JobConfig}},
	{"stream-files", Degraded, UserError, "The directory with stream files", anchorConfig, []string{JobConfig}},
	{"stream-file-state", Degraded, SystemError, "The stream files' contents on disk", anchorConfig, []string{JobConfig}},
	{"stream-overruled", Info, UserError, "Two sources configure a stream", anchorConfig, []string{JobConfig}},
	{"control-plane", Degraded, "", "Configurations cannot be listed", anchorConfig, []string{JobConfig}},
	{"mqtt", Degraded, "", "No connection to AWS IoT", anchorConfig, []string{JobConfig}},
	{"mqtt-retain", Info, UserError, "No right to publish retained messages", anchorConfig, []string{JobConfig}},
	{"hub-arn", Degraded, UserError, "Configured for another hub", anchorConfig, []string{JobConfig}},
	{"camera-store", Degraded, SystemError, "Camera URLs on disk", anchorConfig, []string{JobConfig}},
	// Identity.
	{"credentials-role-alias", Failed, UserError, "The role alias", anchorCredentials, cloudAndRecorder},
	{"credentials-certificate", Failed, UserError, "The device certificate is refused", anchorCredentials, cloudAndRecorder},
	{"credentials-clock", Failed, UserError, "The hub's clock is off", anchorCredentials, cloudAndRecorder},
	{"credentials-network", Failed, SystemError, "The credentials endpoint cannot be reached", anchorCredentials, cloudAndRecorder},
	{"credentials-trust", Failed, UserError, "The credentials endpoint is not trusted", anchorCredentials, cloudAndRecorder},
	{"credentials-service", Failed, "", "The credentials endpoint fails", anchorCredentials, cloudAndRecorder},
	{"credentials-token", Failed, UserError, "Greengrass refuses the token", anchorCredentials, cloudAndRecorder},
	{"clock-off", Degraded, UserError, "The hub's clock is not that of AWS", anchorCredentials, []string{JobCloud}},
	{"device-certificate", Degraded, UserError, "The replaced certificate is not usable", anchorCredentials, []string{JobCloud}},
	// The hub itself.
	{"hub-frozen", Degraded, SystemError, "The hub did not run", anchorAgent, []string{JobAPI}},
	// Metrics, settings and the local API.
	{"local-api", Degraded, UserError, "The local API's socket is gone", anchorAgent, []string{JobAPI}},
	{"metrics-denied", Degraded, "", "Metrics are denied", anchorDisk, []string{JobMetrics}},
	{"metrics-refused", Info, SystemError, "Metrics are refused", anchorDisk, []string{JobMetrics}},
	{"metrics-unreachable", Info, SystemError, "CloudWatch cannot be reached", anchorDisk, []string{JobMetrics}},
	{"settings-refused", Degraded, UserError, "The new settings are refused", anchorSettings, []string{JobSettings}},
	{"settings-misspelt", Info, UserError, "No setting has a name that is set", anchorSettings, []string{JobSettings}},
	{"settings-restart", Info, UserError, "Settings wait for a restart", anchorSettings, []string{JobSettings}},
}

// Answers are the codes of faults that only answer a question, or are wrapped before they are reported.
var Answers = []string{"cloud", "deleting", "export", "store-format", "store-locked", "stream", "upload-request", "upload-stopped"}

// Declared finds the declaration of a code. What stands behind a slash is the stream that it is about.
func Declared(code string) (Declaration, bool) {
	code, _, _ = strings.Cut(code, "/")
	for _, d := range Declarations {
		if d.Code == code {
			return d, true
		}
	}
	return Declaration{}, false
}
