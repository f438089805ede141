package health

import "sync/atomic"

// Counter counts what happens. Its zero value is ready; it never takes a lock.
type Counter struct{ v atomic.Int64 }

// Add counts so many more.
func (c *Counter) Add(n int64) { c.v.Add(n) }

// Restore sets the count from before the agent was started.
func (c *Counter) Restore(n int64) { c.v.Store(n) }

// Load reads it.
func (c *Counter) Load() int64 { return c.v.Load() }

// Gauge is a number that rises and falls. Its zero value is ready; it never takes a lock.
type Gauge struct{ v atomic.Int64 }

// Set sets it.
func (g *Gauge) Set(value int64) { g.v.Store(value) }

// Load reads it.
func (g *Gauge) Load() int64 { return g.v.Load() }

// The names of the counters and gauges of components. Times are Unix milliseconds, 0 for never.
const (
	// Recorder.
	FramesRecorded  = "framesRecorded"  // video access units that are in a file; those gathered in memory are not yet
	BytesRecorded   = "bytesRecorded"   // media bytes written
	FramesLost      = "framesLost"      // frames known to be lost between camera and disk
	ForeignPackets  = "foreignPackets"  // packets over UDP that look like the camera's and are left out, as others sent them
	AudioFramesLost = "audioFramesLost" // audio frames that came and were left out: too many, or no video to go with
	// AudioPacketsLost counts packets of audio that were lost between camera and hub, or could not be read.
	AudioPacketsLost = "audioPacketsLost"
	Gaps             = "gaps"            // interruptions of the recording
	Reconnects       = "reconnects"      // sessions begun after the first
	LastFrameTime    = "lastFrameTime"   // hub time of the last recorded frame
	BitrateBPS       = "bitrate"         // bit/s over the last seconds
	FPSMilli         = "fpsMilli"        // frames per 1000 s over the last seconds
	LastSegmentTime  = "lastSegmentTime" // producer time at the end of the last sealed segment

	// Every job with windows.
	WindowsCompleted = "windowsCompleted" // windows to whose end the job ran
	NextWindowTime   = "nextWindowTime"   // when the next window opens, for a job that waits for it; 0 otherwise

	// Uploader.
	FragmentsPersisted = "fragmentsPersisted" // fragments acknowledged PERSISTED
	BytesUploaded      = "bytesUploaded"      // bytes of persisted fragments
	FragmentsRefused   = "fragmentsSkipped"   // fragments refused by the service and kept locally
	LastPersistedTime  = "lastPersistedTime"  // hub time of the last persisted acknowledgement
	LastPersistedMedia = "lastPersistedMedia" // producer time of the newest persisted fragment
	BacklogDoneTime    = "backlogDoneTime"    // when the backlog will be done, at the speed of late; 0 for none or not known
	UploadSessions     = "uploadSessions"     // PutMedia sessions opened

	// Retention.
	SegmentsDeleted          = "segmentsDeleted"
	BytesDeleted             = "bytesDeleted"
	DeletedBeforeUpload      = "deletedBeforeUpload"   // segments that had to go although not uploaded
	DeletedBeforeUploadBytes = "deletedBeforeUploadBy" // their bytes

	// Metrics.
	MetricsDropped = "metricsDropped" // points that CloudWatch never got
)
