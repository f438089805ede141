package status

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is what the collector asks of the segment store. Its answers are kept sums, never walks.
type Store interface {
	Usage(stream string) segment.Usage
	DiskFree() (free, total uint64, err error)
}

// StreamInfo is a configured stream.
type StreamInfo struct {
	Name       string
	LimitBytes int64     // MaxLocalMediaSizeInMB in bytes; 0 without a limit
	SecretRead time.Time // when the secret with the camera's URL was last read; zero for never
	// StorageTier is HOT or WARM, empty while it is not known.
	StorageTier string
	// OnRequest is whether it is uploaded on request only, and Requests are the uploads on demand that run or wait.
	OnRequest bool
	Requests  []Request
	// Wanted is its configuration in force.
	Wanted Wanted
}

// Collector makes snapshots. It holds no state of its own.
type Collector struct {
	Version string
	Thing   string
	Dir     string // recording directory, for display
	Started time.Time
	Now     func() time.Time
	Health  *health.Registry
	Store   Store
	Streams func() []StreamInfo
	// Jobs are those that each stream has, in the order in which they are listed.
	Jobs []health.StreamJob
	// Recorded lists the streams with recordings, and Policy says what is kept of one. Optional.
	Recorded func() []string
	Policy   func(stream string) string
	// Events counts the events of a stream that have not ended, and with these those that are not in the cloud. Optional.
	Events func(stream string) (open, notUploaded int)
	// Forecast looks ahead for a stream, or for the disk when it is "". Optional.
	Forecast func(stream string) Forecast
	// LineCap returns how much of the line's cap is used; nil without a cap. Optional.
	LineCap func() *UploadCap
	// Pressure returns what the kernel says of the hub. Optional.
	Pressure func() pressure.Reading
	// SiteWise returns the hub in AWS IoT SiteWise; nil where that is not set. Optional.
	SiteWise func() *SiteWise
}

// Snapshot reads everything once. It takes no lock for longer than a copy and never waits for
// a network or a camera.
func (c *Collector) Snapshot() Snapshot {
	now := c.Now()
	s := Snapshot{
		Time:    now,
		Version: c.Version,
		Thing:   c.Thing,
		PID:     os.Getpid(),
		Started: health.Redate(c.Started, now),
		Disk:    Disk{Directory: c.Dir},
		Streams: []Stream{},
	}
	if free, total, err := c.Store.DiskFree(); err == nil {
		s.Disk.FreeBytes, s.Disk.TotalBytes = int64(free), int64(total)
	}
	if c.LineCap != nil {
		s.UploadCap = c.LineCap()
	}
	if c.Pressure != nil {
		if now := c.Pressure(); !now.Empty() {
			s.Pressure = &now
		}
	}
	if c.SiteWise != nil {
		s.SiteWise = c.SiteWise()
	}
	components := make(map[health.Key]health.ComponentSnapshot)
	for _, p := range c.Health.Snapshot() {
		p.Redate(now)
		components[p.Key] = p
		if p.Stream == "" {
			s.Agent = appendConditions(s.Agent, p)
		}
	}
	for _, info := range c.Streams() {
		st := c.stream(info, components, c.Store.Usage(info.Name))
		if c.Events != nil {
			st.Uploader.OpenEvents, st.Uploader.EventsNotUploaded = c.Events(info.Name)
		}
		if c.Forecast != nil {
			st.Space.Forecast = c.Forecast(info.Name)
		}
		s.Streams = append(s.Streams, st)
	}
	s.Orphans = c.orphans(s.Streams, components)
	if c.Forecast != nil {
		s.Disk.Forecast = c.Forecast("")
	}
	s.Verdict = verdict(s)
	return s
}

// streamParts are the components that report about a stream apart from its jobs.
var streamParts = []string{health.JobRetention, health.JobConfig, health.JobStore}

func (c *Collector) stream(info StreamInfo, components map[health.Key]health.ComponentSnapshot, usage segment.Usage) Stream {
	component := func(job string) health.ComponentSnapshot { return components[health.Key{Stream: info.Name, Job: job}] }
	rec, up, ret := component(health.JobRecorder), component(health.JobUploader), component(health.JobRetention)
	st := Stream{
		Name: info.Name,
		Recorder: Recorder{
			Job:            job(rec),
			LastFrame:      millis(rec.Numbers[health.LastFrameTime]),
			BitrateBPS:     rec.Numbers[health.BitrateBPS],
			FPS:            float64(rec.Numbers[health.FPSMilli]) / 1000,
			FramesRecorded: rec.Numbers[health.FramesRecorded],
			FramesLost:     rec.Numbers[health.FramesLost],
			AudioLost:      rec.Numbers[health.AudioFramesLost],
			AudioMissing:   rec.Numbers[health.AudioPacketsLost],
			ForeignPackets: rec.Numbers[health.ForeignPackets],
			Gaps:           rec.Numbers[health.Gaps],
			Reconnects:     rec.Numbers[health.Reconnects],
			SecretRead:     info.SecretRead,
		},
		Uploader: Uploader{
			Job:                   job(up),
			BacklogSeconds:        usage.PendingDuration.Seconds(),
			BacklogBytes:          usage.PendingBytes,
			BacklogSince:          usage.PendingSince,
			BacklogDone:           millis(up.Numbers[health.BacklogDoneTime]),
			LastPersisted:         millis(up.Numbers[health.LastPersistedTime]),
			LastPersistedMedia:    millis(up.Numbers[health.LastPersistedMedia]),
			FragmentsPersisted:    up.Numbers[health.FragmentsPersisted],
			FragmentsRefusedTotal: up.Numbers[health.FragmentsRefused],
			FragmentsSkipped:      up.Numbers[health.FragmentsRefused],
			FragmentsRefused:      usage.RefusedFragments,
			RefusedBytes:          usage.RefusedBytes,
		},
		Space: Space{
			Segments:        usage.Segments,
			UsedBytes:       usage.Bytes,
			QuarantineBytes: usage.Quarantine,
			Holds:           usage.Holds, HeldSegments: usage.HeldSegments, HeldBytes: usage.HeldBytes,
			LimitBytes:          info.LimitBytes,
			Oldest:              usage.Oldest,
			DeletedBeforeUpload: ret.Numbers[health.DeletedBeforeUpload],
		},
	}
	st.StorageTier = info.StorageTier
	st.Wanted, st.Uploader.Requests = info.Wanted, info.Requests
	if !slices.Contains(c.Jobs, health.UploaderJob) {
		st.Uploader.State = StateOff
		st.Uploader.clearBacklog()
	} else if info.OnRequest {
		st.Uploader.clearBacklog()
	}
	for _, kind := range c.Jobs {
		st.Jobs = append(st.Jobs, NamedJob{kind.Name, job(component(kind.Name))})
		st.Conditions = appendConditions(st.Conditions, component(kind.Name))
	}
	for _, name := range streamParts {
		st.Conditions = appendConditions(st.Conditions, component(name))
	}
	return st
}

// clearBacklog is for a stream whose media on the disk waits for nothing.
func (u *Uploader) clearBacklog() {
	u.BacklogSeconds, u.BacklogBytes, u.BacklogSince, u.BacklogDone = 0, 0, time.Time{}, time.Time{}
}

func job(p health.ComponentSnapshot) Job {
	class, details := JobStatus(p)
	state := p.State
	if state == "" {
		state = "not started"
	}
	return Job{State: state, Since: p.StateSince, Status: class, Details: details, NextWindow: millis(p.Numbers[health.NextWindowTime])}
}

func appendConditions(list []Condition, p health.ComponentSnapshot) []Condition {
	for _, c := range p.Conditions {
		list = append(list, Condition{Job: p.Job, Condition: c})
	}
	return list
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// orphanJobs are the jobs that continue for a stream that is not configured.
var orphanJobs = []string{health.JobRetention, health.JobStore}

// orphans are the streams that have media or conditions but no configuration, by name.
func (c *Collector) orphans(configured []Stream, components map[health.Key]health.ComponentSnapshot) []Orphan {
	names := make(map[string]bool)
	if c.Recorded != nil {
		for _, name := range c.Recorded() {
			names[name] = true
		}
	}
	for key, component := range components {
		if key.Stream != "" && len(component.Conditions) > 0 && slices.Contains(orphanJobs, key.Job) {
			names[key.Stream] = true
		}
	}
	for _, st := range configured {
		delete(names, st.Name)
	}
	var list []Orphan
	for _, name := range slices.Sorted(maps.Keys(names)) {
		usage := c.Store.Usage(name)
		o := Orphan{
			Name: name, Segments: usage.Segments, UsedBytes: usage.Bytes, QuarantineBytes: usage.Quarantine, NotUploadedBytes: usage.PendingBytes,
			Oldest: usage.Oldest, Newest: usage.Newest, Holds: usage.Holds, HeldSegments: usage.HeldSegments, HeldBytes: usage.HeldBytes,
			DeletedBeforeUpload: components[health.Key{Stream: name, Job: health.JobRetention}].Numbers[health.DeletedBeforeUpload],
		}
		if c.Policy != nil {
			o.Policy = c.Policy(name)
		}
		for _, job := range orphanJobs {
			o.Conditions = appendConditions(o.Conditions, components[health.Key{Stream: name, Job: job}])
		}
		list = append(list, o)
	}
	return list
}
