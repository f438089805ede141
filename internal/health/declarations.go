package health

import "strings"

// Declaration says what a condition is, once for the whole agent: `internal/archtest` reads the source and fails
// when a fault has a code that is not declared, or a declared code has no row in a test of its end.
type Declaration struct {
	Code     string
	Severity Severity // the worst that it has
	Class    Class    // empty: it depends on the cause
	Title    string   // a phrase: with a small letter it is the message in the log
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
	guardedJobs      = append(jobNames(), JobRetention, JobConfig, JobCloud, JobStore, JobMetrics, JobSettings, JobAPI, JobSiteWise)
)

// Declarations lists every condition of the agent.
var Declarations = []Declaration{
	// Recording.
	{"camera", Failed, "", "No video from the camera", anchorCameras, []string{JobRecorder}},
	{"camera-data", Failed, SystemError, "Video arrives damaged", anchorCameras, []string{JobRecorder}},
	{"recording", Failed, "", "Recording paused", anchorDisk, []string{JobRecorder}},
	{"timestamps", Info, SystemError, "Camera's timestamps are irregular", anchorCameras, []string{JobRecorder}},
	{"keyframe-interval", Info, UserError, "Keyframes are too rare", anchorCameras, []string{JobRecorder}},
	{"camera-clock", Info, UserError, "Camera's clock is not used", anchorCameras, []string{JobRecorder}},
	{"clock-step", Info, SystemError, "Media was recorded before the clock was set", anchorCredentials, []string{JobRecorder}},
	{"times-ahead", Info, SystemError, "Recorded times were ahead of the clock", anchorCredentials, []string{JobRecorder}},
	{"camera-source", Info, "", "Packets of another sender are ignored", anchorCameras, []string{JobRecorder}},
	{"audio", Info, UserError, "Audio is not recorded", anchorCameras, []string{JobRecorder}},
	{"other-tracks", Info, UserError, "Other tracks of the camera are not recorded", anchorCameras, []string{JobRecorder}},
	{"audio-rate", Degraded, UserError, "Audio is left out", anchorCameras, []string{JobRecorder}},
	{"audio-loss", Degraded, SystemError, "Audio arrives incomplete", anchorCameras, []string{JobRecorder}},
	{"secret-not-found", Failed, UserError, "Secret does not exist", anchorSecret, []string{JobRecorder}},
	{"secret-denied", Failed, "", "No permission to read the secret", anchorSecret, []string{JobRecorder}},
	{"secret-content", Failed, UserError, "Secret holds no camera URL", anchorSecret, []string{JobRecorder}},
	{"secret-unreachable", Failed, SystemError, "No connection to Secrets Manager", anchorSecret, []string{JobRecorder}},
	{"camera-secret", Failed, "", "Camera's secret cannot be used", anchorSecret, []string{JobConfig, JobRecorder}},
	// Jobs.
	{"job-ended", Failed, SystemError, "Job ended by itself", anchorAgent, jobNames()},
	{"internal-error", Failed, SystemError, "Internal error in the agent", anchorAgent, guardedJobs},
	// Upload.
	{"upload", Failed, "", "Upload interrupted", anchorDisk, []string{JobUploader}},
	{"upload-refused", Degraded, SystemError, "Fragment refused or unreadable; it stays on the disk", anchorDisk, []string{JobUploader}},
	{"upload-breaks", Degraded, SystemError, "Fragment does not get through", anchorDisk, []string{JobUploader}},
	{"fragment-length", Info, SystemError, "Service accepts only shorter fragments", anchorDisk, []string{JobUploader}},
	{"upload-tags", Degraded, SystemError, "Stream is uploaded without fragment tags", anchorDisk, []string{JobUploader}},
	{"audio-not-uploaded", Info, UserError, "Audio is not uploaded", anchorDisk, []string{JobUploader}},
	{"stream-tags", Info, UserError, "No permission to read the stream's tags", anchorConfig, []string{JobUploader}},
	{"fragment-tag", Info, UserError, "Stream's tag has no length of fragments", anchorConfig, []string{JobUploader}},
	{"upload-tag", Info, UserError, "Stream's tag has no upload mode", anchorConfig, []string{JobUploader}},
	{"fragment-cost", Info, UserError, "Fragments are short for the WARM storage tier", anchorDisk, []string{JobUploader}},
	{"upload-cap", Failed, UserError, "Cap of the line is used", anchorDisk, []string{JobCloud}},
	{"upload-cap-state", Degraded, SystemError, "Use of the line's cap is not known or not saved", anchorDisk, []string{JobCloud}},
	{"upload-disk", Degraded, SystemError, "Recording cannot be read for the upload", anchorDisk, []string{JobUploader}},
	// Disk and retention.
	{"disk", Degraded, "", "Recording disk fails", anchorDisk, []string{JobRetention, JobStore}},
	{"recordings-unreadable", Failed, SystemError, "Recordings cannot be read", anchorDisk, []string{JobStore}},
	{"quarantine", Info, SystemError, "Unreadable files were set aside", anchorDisk, []string{JobStore}},
	{"holds-unreadable", Degraded, SystemError, "Holds of a stream cannot be read", anchorDisk, []string{JobStore}},
	{"holds-over-limit", Degraded, UserError, "Holds have more than they may", anchorDisk, []string{JobStore}},
	{"limit-reached", Failed, UserError, "Stream's size limit is reached", anchorDisk, []string{JobRetention}},
	{"disk-low", Failed, SystemError, "Disk is full", anchorDisk, []string{JobRetention}},
	{"disk-filled", Degraded, SystemError, "Other files fill the disk", anchorDisk, []string{JobRetention}},
	{"disk-not-freed", Degraded, SystemError, "Disk does not free what is deleted", anchorDisk, []string{JobRetention}},
	{"recordings-held", Info, SystemError, "Another program holds recordings", anchorDisk, []string{JobRetention}},
	{"reserve-too-large", Degraded, UserError, "Reserve is larger than the disk", anchorDisk, []string{JobRetention}},
	{"policies", Info, SystemError, "Retention of the streams cannot be saved", anchorDisk, []string{JobRetention}},
	{"deleted-before-upload", Degraded, SystemError, "Media was deleted before its upload", anchorDisk, []string{JobRetention}},
	{"deleted-without-audit", Degraded, UserError, "Media is deleted without an audit", anchorDisk, []string{JobRetention}},
	{"waits-for-audit", Degraded, SystemError, "Uploaded media waits for its audit", anchorDisk, []string{JobRetention}},
	{"unreadable-not-audited", Degraded, SystemError, "Unreadable recordings cannot be audited", anchorDisk, []string{JobRetention}},
	{"missing-in-cloud", Degraded, SystemError, "Uploaded media is missing in the cloud", anchorDisk, []string{JobRetention}},
	{"clock", Info, SystemError, "Clock is far ahead of the newest recording", anchorDisk, []string{JobRetention}},
	{"times-wrong", Info, SystemError, "Recordings have wrong times", anchorDisk, []string{JobRetention}},
	{"losses", Info, SystemError, "Count of media deleted before upload cannot be saved", anchorDisk, []string{JobRetention}},
	// Rows of video in AWS IoT SiteWise.
	{"sitewise-write", Degraded, "", "Rows of video cannot be written to SiteWise", anchorDisk, []string{JobSiteWise}},
	{"sitewise-write-refused", Degraded, "", "SiteWise refuses rows of a camera's video", anchorDisk, []string{JobSiteWise}},
	{"sitewise-write-old", Info, SystemError, "Rows of video in SiteWise are too old to be changed", anchorDisk, []string{JobSiteWise}},
	{"sitewise-write-late", Info, SystemError, "Video was uploaded too late for a row in SiteWise", anchorDisk, []string{JobSiteWise}},
	{"sitewise-write-state", Degraded, SystemError, "What SiteWise has of the video cannot be noted", anchorDisk, []string{JobSiteWise}},
	{"sitewise-trickle", Degraded, "", "Streams are not kept warm for players", anchorDisk, []string{JobSiteWise}},
	// Configuration.
	{"config-state", Degraded, SystemError, "Configuration on disk is unreadable or not saved", anchorConfig, []string{JobConfig}},
	{"config-refused", Degraded, UserError, "Configuration is refused", anchorConfig, []string{JobConfig}},
	{"config-message", Info, "", "Message of the cloud is ignored", anchorConfig, []string{JobConfig}},
	{"config-apply", Failed, "", "Configuration cannot be applied", anchorConfig, []string{JobConfig}},
	{"stream-file", Degraded, UserError, "Stream file is wrong", anchorConfig, []string{JobConfig}},
	{"stream-files", Degraded, UserError, "Directory of stream files cannot be used", anchorConfig, []string{JobConfig}},
	{"stream-file-state", Degraded, SystemError, "Last good stream files are unreadable or not saved", anchorConfig, []string{JobConfig}},
	{"sitewise", Degraded, "", "Cameras cannot be read from AWS IoT SiteWise, or there are none", anchorConfig, []string{JobConfig}},
	{"sitewise-camera", Degraded, UserError, "Camera asset of AWS IoT SiteWise is wrong", anchorConfig, []string{JobConfig}},
	{"sitewise-state", Degraded, SystemError, "Last good values of AWS IoT SiteWise are unreadable or not saved", anchorConfig,
		[]string{JobConfig}},
	{"sitewise-stream", Degraded, "", "Stream of a camera of AWS IoT SiteWise cannot be created", anchorConfig, []string{JobConfig}},
	{"sitewise-request", Info, "", "Request over AWS IoT SiteWise was not followed", anchorConfig, []string{JobConfig}},
	{"stream-overruled", Info, UserError, "Two sources configure a stream", anchorConfig, []string{JobConfig}},
	{"main-of", Degraded, UserError, "Main stream and sub stream do not belong together", anchorConfig, []string{JobConfig}},
	{"control-plane", Degraded, "", "Configurations cannot be listed", anchorConfig, []string{JobConfig}},
	{"mqtt", Degraded, "", "No connection to AWS IoT", anchorConfig, []string{JobConfig}},
	{"mqtt-retain", Info, UserError, "No permission to publish retained messages", anchorConfig, []string{JobConfig}},
	{"hub-arn", Degraded, UserError, "Configuration is for another hub", anchorConfig, []string{JobConfig}},
	{"camera-store", Degraded, SystemError, "Camera URLs on disk are unreadable or not saved", anchorConfig, []string{JobConfig}},
	// Identity.
	{"credentials-role-alias", Failed, UserError, "Role alias cannot be used", anchorCredentials, cloudAndRecorder},
	{"credentials-certificate", Failed, UserError, "Device certificate is refused", anchorCredentials, cloudAndRecorder},
	{"credentials-clock", Failed, UserError, "Hub's clock is off for requests of credentials", anchorCredentials, cloudAndRecorder},
	{"credentials-network", Failed, SystemError, "Credentials endpoint cannot be reached", anchorCredentials, cloudAndRecorder},
	{"credentials-trust", Failed, UserError, "Credentials endpoint is not trusted", anchorCredentials, cloudAndRecorder},
	{"credentials-service", Failed, "", "Credentials endpoint fails", anchorCredentials, cloudAndRecorder},
	{"credentials-token", Failed, UserError, "Token is refused by Greengrass", anchorCredentials, cloudAndRecorder},
	{"endpoint", Failed, UserError, "Host of AWS is not one that the settings allow", anchorCredentials,
		[]string{JobCloud, JobConfig, JobRecorder, JobMetrics}},
	{"clock-off", Degraded, UserError, "Hub's clock differs from that of AWS", anchorCredentials, []string{JobCloud}},
	{"device-certificate", Degraded, UserError, "Replaced device certificate is not usable", anchorCredentials, []string{JobCloud}},
	// The hub itself.
	{"hub-frozen", Degraded, SystemError, "Hub did not run", anchorAgent, []string{JobAPI}},
	// Metrics, settings and the local API.
	{"hub-overloaded", Degraded, SystemError, "Hub cannot keep up", anchorAgent, []string{JobAPI}},
	{"storage-worn", Degraded, SystemError, "eMMC is worn", anchorDisk, []string{JobAPI}},
	{"web-address", Degraded, UserError, "Web pages cannot be served", anchorAgent, []string{JobAPI}},
	{"web-certificate", Degraded, UserError, "Certificate of the web pages cannot be used", anchorAgent, []string{JobAPI}},
	{"local-api", Degraded, UserError, "Socket of the local API is gone", anchorAgent, []string{JobAPI}},
	{"metrics-denied", Degraded, "", "No permission to send metrics", anchorDisk, []string{JobMetrics}},
	{"metrics-refused", Info, SystemError, "Metrics are refused by CloudWatch", anchorDisk, []string{JobMetrics}},
	{"metrics-unreachable", Info, SystemError, "No connection to CloudWatch", anchorDisk, []string{JobMetrics}},
	{"settings-refused", Degraded, UserError, "New settings are refused", anchorSettings, []string{JobSettings}},
	{"settings-misspelt", Info, UserError, "Unknown setting (see docs/settings.md)", anchorSettings, []string{JobSettings}},
	{"settings-restart", Info, UserError, "Settings wait for a restart", anchorSettings, []string{JobSettings}},
}

// Answers are the codes of faults that only answer a question, or are wrapped before they are reported.
var Answers = []string{"audit-clock", "audit-cloud", "audit-denied", "audit-nothing", "audit-receipts", "audit-repair", "audit-request",
	"audit-unknown",
	"cloud", "deleting", "export", "hold-held", "hold-request", "hold-too-large", "store-format", "store-locked",
	"stream", "upload-cap-reached",
	"upload-request", "upload-stopped", "event"}

// Declared finds the declaration of a code. The part after a slash is the stream that it is about.
func Declared(code string) (Declaration, bool) {
	code, _, _ = strings.Cut(code, "/")
	for _, d := range Declarations {
		if d.Code == code {
			return d, true
		}
	}
	return Declaration{}, false
}
