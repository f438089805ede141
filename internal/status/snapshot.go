// Package status owns what the agent says of itself: the snapshot of all streams, its verdict
// and the table a person reads; package localapi serves it. It must not know how
// recording, uploading or configuring is done: it reads health, the store's sums and a list of streams.
package status

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
)

// Verdict sums up a snapshot for monitoring.
type Verdict string

// The verdicts, best first.
const (
	Healthy  Verdict = "healthy"
	Degraded Verdict = "degraded"
	Down     Verdict = "down"
)

// Snapshot is the agent at one instant: the body of GET /v1/status.
type Snapshot struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Thing   string    `json:"thing"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Verdict Verdict   `json:"verdict"`
	Disk    Disk      `json:"disk"`
	// UploadCap is how much of the line's cap is used; absent without a cap.
	UploadCap *UploadCap `json:"uploadCap,omitempty"`
	// Pressure is what the kernel says of the hub: waiting, heat, wear; absent where it says nothing.
	Pressure *pressure.Reading `json:"pressure,omitempty"`
	// SiteWise is the hub in AWS IoT SiteWise; absent where that is not set.
	SiteWise *SiteWise `json:"siteWise,omitempty"`
	// Agent holds the conditions of the agent itself: configuration, cloud, disk.
	Agent   []Condition `json:"agent,omitempty"`
	Streams []Stream    `json:"streams"`
	// Orphans are streams that are not configured for this hub, and of which there are recordings or something to say.
	Orphans []Orphan `json:"orphans,omitempty"`
}

// Disk is the file system that holds the recordings.
type Disk struct {
	Directory  string `json:"directory"`
	FreeBytes  int64  `json:"freeBytes"`
	TotalBytes int64  `json:"totalBytes"`
	// Forecast is of all streams together.
	Forecast Forecast `json:"forecast"`
}

// UploadCap is the cap of a metered line in the present period.
type UploadCap struct {
	Setting   string `json:"setting"` // as it was set
	CapBytes  int64  `json:"capBytes"`
	UsedBytes int64  `json:"usedBytes"` // sent and received, times the overhead
	// SentBytes and ReceivedBytes are the TCP payload of all connections to AWS.
	SentBytes     int64     `json:"sentBytes"`
	ReceivedBytes int64     `json:"receivedBytes"`
	Overhead      float64   `json:"overhead"`
	PeriodStart   time.Time `json:"periodStart,omitzero"`
	ResetsAt      time.Time `json:"resetsAt,omitzero"`
	// ReachedAt is when the cap will be reached at the rate of the last days, and Suffices is that it will not before ResetsAt.
	// Neither is there while the rate is not known.
	ReachedAt time.Time `json:"reachedAt,omitzero"`
	Suffices  bool      `json:"suffices,omitempty"`
	// ClockTrusted is whether the period can end: it does not while the hub's clock may be wrong.
	ClockTrusted bool `json:"clockTrusted"`
	// NotUploaded is what the cap holds back: backlog, live (and the backlog), all; empty for nothing.
	NotUploaded string `json:"notUploaded,omitempty"`
}

// SiteWise is what the hub has read of AWS IoT SiteWise, and the requests that came by it.
type SiteWise struct {
	Asset   string `json:"asset"`          // id of the hub's
	Name    string `json:"name,omitempty"` // its name, once it was read
	Cameras int    `json:"cameras"`        // assets below it, right and wrong ones
	// ReadAt is when all were read last, and ChangedAt when something of them was new; missing before the first time since the start.
	ReadAt    time.Time `json:"readAt,omitzero"`
	ChangedAt time.Time `json:"changedAt,omitzero"`
	// Requests are those that run, and the last that ended, the oldest first.
	Requests []SiteWiseRequest `json:"requests,omitempty"`
	// WriteBack is how far the hub is with writing which video there is.
	WriteBack SiteWiseWriteBack `json:"writeBack"`
}

// SiteWiseWriteBack says which values about the hub's video AWS IoT SiteWise has not.
type SiteWiseWriteBack struct {
	Waiting      int       `json:"waiting"`               // values that are to be written
	WaitingSince time.Time `json:"waitingSince,omitzero"` // of the oldest of these
	Refused      int       `json:"refused"`               // values that SiteWise refuses, and which are written again later
	// TooOld are rows that are not right and begin more than 7 days ago, so that SiteWise takes no change of them.
	TooOld    int       `json:"tooOld"`
	WrittenAt time.Time `json:"writtenAt,omitzero"` // when SiteWise accepted a value last; missing before the first time since the start
}

// SiteWiseRequest is an upload that was requested by the property VideoUploadRequest.
type SiteWiseRequest struct {
	Stream  string    `json:"stream"`
	Asset   string    `json:"asset"`   // id of the camera's
	Request string    `json:"request"` // the property's value
	Time    time.Time `json:"time"`    // of that value
	Status  string    `json:"status"`  // RUNNING, DONE or FAILED
	// Details is a sentence: why not all of it is in the cloud, or for which times SiteWise has no values.
	Details        string `json:"details,omitempty"`
	FragmentsDone  int    `json:"fragmentsDone"`
	FragmentsTotal int    `json:"fragmentsTotal"`
}

// Forecast predicts the space if recording continues as now.
type Forecast struct {
	// Days of media that fit at the present bitrate; 0 when nothing is recorded.
	Days float64 `json:"days"`
	// FullAt is when the limit will be reached; zero when media is deleted earlier for its age or after upload.
	FullAt time.Time `json:"fullAt,omitzero"`
	// NextBytes is how many bytes the next pass of retention deletes, NextNotUploaded how many of them are not uploaded.
	NextBytes       int64 `json:"nextDeletionBytes"`
	NextNotUploaded int64 `json:"nextDeletionNotUploadedBytes"`
}

// Condition is a health condition with the job that raised it.
type Condition struct {
	Job string `json:"job"`
	health.Condition
}

// StateOff is that of the upload of a stream that is not uploaded by this agent.
const StateOff = "off"

// Wanted is what is in force of a stream, and where it comes from. It holds no secret.
type Wanted struct {
	Origin  string    `json:"origin"`           // one of desired.Origins
	Version time.Time `json:"version,omitzero"` // when its source changed it
	Sync    string    `json:"syncStatus"`       // a SyncStatus of the KVS API; empty while it is not known
	// SyncDetails says what is wrong, for people.
	SyncDetails string `json:"syncDetails,omitempty"`
	Media       string `json:"media"`    // camera or file
	MediaURI    string `json:"mediaUri"` // the ARN of its secret, or the URL without user and password
	Record      string `json:"record"`   // the schedule in words
	Upload      string `json:"upload"`
	// UploadMode is scheduled, live or on-request; empty where nothing is uploaded.
	UploadMode string `json:"uploadMode,omitempty"`
	// RecordExpression and UploadExpression are the Quartz expressions, empty without one, and the lengths of their windows.
	RecordExpression string  `json:"recordExpression,omitempty"`
	RecordSeconds    float64 `json:"recordSeconds,omitempty"`
	UploadExpression string  `json:"uploadExpression,omitempty"`
	UploadSeconds    float64 `json:"uploadSeconds,omitempty"`
	// Fragments says how long fragments become, and how much of the upload a kill may repeat.
	Fragments string `json:"fragments,omitempty"`
	// NextWindow is when the recording starts next; zero when it never stops or never starts again.
	NextWindow time.Time         `json:"nextWindow,omitzero"`
	Keep       string            `json:"keep"` // for people
	Tags       map[string]string `json:"tags,omitempty"`
	// MainOf are the sub streams of the same camera, of a main stream, and SubOf is the main stream of a sub stream.
	MainOf []string `json:"mainOf,omitempty"`
	SubOf  string   `json:"subOf,omitempty"`
}

// Stream is one stream's recording, upload and space.
type Stream struct {
	Name   string `json:"name"`
	Wanted Wanted `json:"wanted"`
	// Jobs are all jobs of the stream, in the order in which they stop; Recorder and Uploader say more of two of them.
	Jobs     []NamedJob `json:"jobs"`
	Recorder Recorder   `json:"recorder"`
	Uploader Uploader   `json:"uploader"`
	Space    Space      `json:"space"`
	// StorageTier is where Kinesis Video Streams stores the media of this stream: HOT or WARM, empty while it is not known.
	StorageTier string      `json:"storageTier,omitempty"`
	Conditions  []Condition `json:"conditions,omitempty"`
}

// NamedJob is one of a stream's jobs.
type NamedJob struct {
	Name string `json:"name"`
	Job
}

// Job is what all jobs have in common.
type Job struct {
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Status and Details are what DescribeEdgeConfiguration shows of the job.
	Status  health.Class `json:"status"`
	Details string       `json:"details,omitempty"`
	// NextWindow is when the job starts next, for one that waits for it: an upload that is done, or a job
	// outside of its schedule.
	NextWindow time.Time `json:"nextWindow,omitzero"`
}

// Recorder is the state of a stream's recording.
type Recorder struct {
	Job
	LastFrame      time.Time `json:"lastFrame,omitzero"`
	BitrateBPS     int64     `json:"bitrateBps"`
	FPS            float64   `json:"fps"`
	FramesRecorded int64     `json:"framesRecorded"`
	FramesLost     int64     `json:"framesLost"`
	AudioLost      int64     `json:"audioFramesLost,omitempty"`
	AudioMissing   int64     `json:"audioPacketsLost,omitempty"`
	ForeignPackets int64     `json:"foreignPackets,omitempty"`
	Gaps           int64     `json:"gaps"`
	Reconnects     int64     `json:"reconnects"`
	// SecretRead is when the secret with the camera's URL was last read with success, also before a restart.
	SecretRead time.Time `json:"secretRead,omitzero"`
}

// Uploader is the state of a stream's upload. The backlog is what is on disk and not yet persisted; a stream that is uploaded on
// request has none.
type Uploader struct {
	Job
	BacklogSeconds float64   `json:"backlogSeconds"`
	BacklogBytes   int64     `json:"backlogBytes"`
	BacklogSince   time.Time `json:"backlogSince,omitzero"`
	// BacklogDone is when a stream that has fallen behind will be done, at the speed of late.
	BacklogDone        time.Time `json:"backlogDone,omitzero"`
	LastPersisted      time.Time `json:"lastPersisted,omitzero"`
	LastPersistedMedia time.Time `json:"lastPersistedMedia,omitzero"`
	FragmentsPersisted int64     `json:"fragmentsPersisted"`
	// FragmentsRefusedTotal counts what the service refused since the start. FragmentsSkipped is the same, by its former name.
	FragmentsRefusedTotal int64 `json:"fragmentsRefusedTotal"`
	FragmentsSkipped      int64 `json:"fragmentsSkipped"`
	// FragmentsRefused and RefusedBytes are on the hub now and not uploaded, as the service refused them. They do
	// not belong to the backlog.
	FragmentsRefused int   `json:"fragmentsRefused"`
	RefusedBytes     int64 `json:"refusedBytes"`
	// OpenEvents have not ended. EventsNotUploaded includes them: some of their media is not in the cloud.
	OpenEvents        int `json:"openEvents,omitempty"`
	EventsNotUploaded int `json:"eventsNotUploaded,omitempty"`
	// Requests are the uploads on demand that run or wait, the oldest first.
	Requests []Request `json:"requests,omitempty"`
}

// Request is an upload on demand.
type Request struct {
	// From and To are of the recordings; zero for those that the service has refused, of any time.
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Since time.Time `json:"since"` // when this agent was asked, or resumed it
	// Done of Total fragments are in the cloud, or were refused. Total is 0 until they were counted.
	Done       int   `json:"done"`
	Total      int   `json:"total"`
	Bytes      int64 `json:"bytes"`
	TotalBytes int64 `json:"totalBytes"`
}

// Space is what a stream's media takes on the disk. LimitBytes is 0 without a limit.
type Space struct {
	Segments            int       `json:"segments"`
	UsedBytes           int64     `json:"usedBytes"`
	LimitBytes          int64     `json:"limitBytes"`
	QuarantineBytes     int64     `json:"quarantineBytes,omitempty"` // of usedBytes: unreadable files that were set aside
	Holds               int       `json:"holds,omitempty"`
	HeldSegments        int       `json:"heldSegments,omitempty"` // of segments: kept by holds
	HeldBytes           int64     `json:"heldBytes,omitempty"`    // of usedBytes: kept by holds, which does not count for limitBytes
	Oldest              time.Time `json:"oldest,omitzero"`
	DeletedBeforeUpload int64     `json:"deletedBeforeUpload"`
	Forecast            Forecast  `json:"forecast"`
}

// JobStatus returns a job's class and sentence: the worst condition that is more than information.
func JobStatus(p health.ComponentSnapshot) (health.Class, string) {
	if c, ok := p.Worst(); ok && c.Severity > health.Info {
		return c.Class, c.Text
	}
	return health.Success, ""
}

// Orphan is a stream that is not configured for this hub: its recordings stay under the last policy that it had.
type Orphan struct {
	Name                string      `json:"name"`
	Segments            int         `json:"segments"`
	UsedBytes           int64       `json:"usedBytes"`
	QuarantineBytes     int64       `json:"quarantineBytes,omitempty"`
	Holds               int         `json:"holds,omitempty"`
	HeldSegments        int         `json:"heldSegments,omitempty"`
	HeldBytes           int64       `json:"heldBytes,omitempty"`
	NotUploadedBytes    int64       `json:"notUploadedBytes"`
	Oldest              time.Time   `json:"oldest,omitzero"`
	Newest              time.Time   `json:"newest,omitzero"`
	Policy              string      `json:"policy,omitempty"` // which media is kept and deleted, for people
	DeletedBeforeUpload int64       `json:"deletedBeforeUpload"`
	Conditions          []Condition `json:"conditions,omitempty"`
}
