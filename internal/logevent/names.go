package logevent

// The agent as a whole.
const (
	AgentStarted       Event = "agent-started"
	AgentStopping      Event = "agent-stopping"
	AgentStopped       Event = "agent-stopped"
	StartFailed        Event = "start-failed"
	StoreNotClosed     Event = "store-not-closed"
	StateNotCleaned    Event = "state-not-cleaned"
	SettingsReloaded   Event = "settings-reloaded"
	LogLevelChanged    Event = "log-level-changed"
	ClockStepped       Event = "clock-stepped"
	ClockAgrees        Event = "clock-agrees"
	HubKeepsUp         Event = "hub-keeps-up"
	TimeZoneChanged    Event = "time-zone-changed"
	TimeZoneUnreadable Event = "time-zone-unreadable"
	TimerfdUnavailable Event = "timerfd-unavailable"
	SystemdNotNotified Event = "systemd-not-notified"
	WatchdogUnreadable Event = "watchdog-unreadable"
	SocketRestored     Event = "api-socket-restored"
	RequestStuck       Event = "api-request-stuck"
	MediaCut           Event = "api-media-cut"
)

// The web pages.
const (
	WebListening           Event = "web-listening"
	WebSignedIn            Event = "web-signed-in"
	WebLinkMade            Event = "web-link-made"
	WebPasswordSet         Event = "web-password-set"
	WebPasswordsWrong      Event = "web-passwords-wrong"
	WebPasswordsUnreadable Event = "web-passwords-unreadable"
	WebCertificateRead     Event = "web-certificate-read"
)

// Streams and their jobs.
const (
	JobStarted        Event = "job-started"
	JobRetried        Event = "job-retried"
	JobStopFailed     Event = "job-stop-failed"
	StreamStopped     Event = "stream-stopped"
	StreamDeleted     Event = "stream-deleted"
	RecordingsDeleted Event = "recordings-deleted"
	HoldAdded         Event = "hold-added"
	HoldRemoved       Event = "hold-removed"
)

// Configuration.
const (
	ConfigurationReceived  Event = "configuration-received"
	ConfigurationGone      Event = "configuration-gone"
	DeletionReceived       Event = "deletion-received"
	HubARNLearned          Event = "hub-arn-learned"
	ControlPlaneRecovered  Event = "control-plane-recovered"
	MQTTConnected          Event = "mqtt-connected"
	MQTTNotUsed            Event = "mqtt-not-used"
	MQTTRetainAllowed      Event = "mqtt-retain-allowed"
	UploadRequestsDenied   Event = "upload-requests-denied"
	NotificationsDenied    Event = "notifications-denied"
	UploadRequestsLost     Event = "upload-requests-lost"
	UploadRequestsNotSaved Event = "upload-requests-not-saved"
	StatusNotEncoded       Event = "status-not-encoded"
	EventBegan             Event = "event-began"
	EventFinished          Event = "event-finished"
	EventNotHeld           Event = "event-not-held"
	EventMediaLost         Event = "event-media-lost"
	EventsFull             Event = "events-full"
	EventsLost             Event = "events-lost"
	EventsDenied           Event = "events-denied"
	HoldsDenied            Event = "holds-denied"
	EventAnswersLost       Event = "event-answers-lost"
	EventAnswersNotSaved   Event = "event-answers-not-saved"
	StreamFileRead         Event = "stream-file-read"
	StreamFileGone         Event = "stream-file-gone"
	SiteWiseCameraRead     Event = "sitewise-camera-read"
	SiteWiseCameraGone     Event = "sitewise-camera-gone"
	SiteWiseRecovered      Event = "sitewise-recovered"
	SiteWiseRequested      Event = "sitewise-requested"
	SiteWiseAnswered       Event = "sitewise-answered"
	SiteWiseRequestsLost   Event = "sitewise-requests-lost"
	StreamCreated          Event = "stream-created"
	CameraURLRead          Event = "camera-url-read"
	CameraSecretsReadable  Event = "camera-secrets-readable"
)

// Identity and metrics.
const (
	CredentialsRenewed  Event = "credentials-renewed"
	CertificateReplaced Event = "certificate-replaced"
	CertificateReadable Event = "certificate-readable"
	MetricsRecovered    Event = "metrics-recovered"
)

// Recording.
const (
	RecordingResumed   Event = "recording-resumed"
	MissingResent      Event = "missing-resent"
	RecordingAllowed   Event = "recording-allowed"
	FilePlayed         Event = "file-played"
	TransportSwitched  Event = "transport-switched"
	CameraClockUsed    Event = "camera-clock-used"
	TimestampsNormal   Event = "timestamps-normal"
	TimesAfterFreeze   Event = "times-after-freeze"
	TimesAfterStep     Event = "times-after-step"
	TimesNotCorrected  Event = "times-not-corrected"
	CorrectionNotNoted Event = "correction-not-noted"
	SegmentUnfinished  Event = "segment-unfinished"
	SegmentNotSaved    Event = "segment-not-saved"
)

// Recordings on the disk.
const (
	DiskRecovered           Event = "disk-recovered"
	RecordingsReadable      Event = "recordings-readable"
	SegmentRecovered        Event = "segment-recovered"
	SegmentRecoveredDamaged Event = "segment-recovered-damaged"
	SegmentDeleted          Event = "segment-deleted"
	SegmentVanished         Event = "segment-vanished"
	FileQuarantined         Event = "file-quarantined"
	StreamDirectoryRestored Event = "stream-directory-restored"
	VolumeFileRestored      Event = "volume-file-restored"
	RecordingsVanished      Event = "recordings-vanished"
	ForeignFilesLeft        Event = "foreign-files-left"
	GapsNotNoted            Event = "gaps-not-noted"
	VolumeNotNoted          Event = "volume-not-noted"
	FormatNotNoted          Event = "format-not-noted"
	LossesUnreadable        Event = "losses-unreadable"
	PoliciesUnreadable      Event = "policies-unreadable"
)

// Upload.
const (
	UploadResumed        Event = "upload-resumed"
	UploadNothingLeft    Event = "upload-nothing-left"
	UploadBreaksEnded    Event = "upload-breaks-ended"
	UploadDiskRecovered  Event = "upload-disk-recovered"
	UploadModeChanged    Event = "upload-mode-changed"
	AudioUploaded        Event = "audio-uploaded"
	FragmentSplit        Event = "fragment-split"
	RefusedRetried       Event = "refused-retried"
	RefusedUnreadable    Event = "refused-unreadable"
	SegmentNotRequeued   Event = "segment-not-requeued"
	ProgressUnreadable   Event = "upload-progress-unreadable"
	StreamTagsReadable   Event = "stream-tags-readable"
	FragmentTagsRejected Event = "fragment-tags-rejected"
	TallyNotRead         Event = "upload-tally-not-read"
	TallyNotSaved        Event = "upload-tally-not-saved"
	LineUsageDamaged     Event = "line-usage-damaged"
	CapPeriodBegan       Event = "upload-cap-period"
	CapFree              Event = "upload-cap-free"
	CapSaved             Event = "upload-cap-saved"
	StorageTierDenied    Event = "storage-tier-denied"
	StorageTierReadable  Event = "storage-tier-readable"
	FragmentCostEnded    Event = "fragment-cost-ended"
)
