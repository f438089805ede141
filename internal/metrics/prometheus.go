package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// prefix begins the names of all our Prometheus metrics.
const prefix = "kvs_edge_"

// PrometheusOptions are what the Prometheus text is made of.
type PrometheusOptions struct {
	Version string
	Health  *health.Registry
	Store   Store
	Streams func() []Stream
	Jobs    []health.StreamJob // of each stream
	// Line returns what the line to AWS was used for. Optional.
	Line func() Line
	// Pressure returns what the kernel says of the hub. Optional.
	Pressure func() pressure.Reading
	// SiteWise returns how the writing to AWS IoT SiteWise is; false where it is not used. Optional.
	SiteWise func() (SiteWise, bool)
}

// SiteWise is what is written to AWS IoT SiteWise about the hub's video.
type SiteWise struct {
	Waiting, Refused, TooOld int       // values, values, rows
	Since, Written           time.Time // of the oldest that waits, and of the last that was accepted; zero for none
}

// Line is the line to AWS, in bytes.
type Line struct {
	Sent, Received      int64 // TCP payload since the start of the agent
	CapBytes, UsedBytes int64 // of the present period; 0 without a cap
}

// NewHandler serves the metrics as Prometheus text. They are read when asked for: nobody asking
// costs nothing.
func NewHandler(o PrometheusOptions) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{o}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// number is a number of health as a metric.
type number struct {
	key   string // in health
	kind  prometheus.ValueType
	desc  *prometheus.Desc
	scale float64
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

func counter(job, key, name, help string) jobNumber {
	return jobNumber{job, number{key, prometheus.CounterValue, desc(name, help, "stream"), 1}}
}

func gauge(job, key, name, help string, scale float64) jobNumber {
	return jobNumber{job, number{key, prometheus.GaugeValue, desc(name, help, "stream"), scale}}
}

// jobNumber is a number of a stream's job.
type jobNumber struct {
	job string
	number
}

const milli = 0.001

var jobNumbers = []jobNumber{
	counter(health.JobRecorder, health.FramesRecorded, "recorded_frames_total", "Video frames written to disk."),
	counter(health.JobRecorder, health.BytesRecorded, "recorded_bytes_total", "Media bytes written to disk."),
	counter(health.JobRecorder, health.FramesLost, "lost_frames_total", "Frames known to be lost between camera and disk."),
	counter(health.JobRecorder, health.AudioFramesLost, "lost_audio_frames_total", "Audio frames that came and were left out."),
	counter(health.JobRecorder, health.AudioPacketsLost, "lost_audio_packets_total", "Audio packets lost on their way, or unreadable."),
	counter(health.JobRecorder, health.Gaps, "recording_gaps_total", "Interruptions of the recording."),
	counter(health.JobRecorder, health.Reconnects, "camera_reconnects_total", "Sessions with the camera after the first."),
	gauge(health.JobRecorder, health.LastFrameTime, "last_frame_timestamp_seconds", "When the last frame was recorded; 0 for never.", milli),
	gauge(health.JobRecorder, health.BitrateBPS, "recording_bytes_per_second", "Rate of the last seconds.", 1.0/8),
	gauge(health.JobRecorder, health.FPSMilli, "recording_frames_per_second", "Frame rate of the last seconds.", milli),
	counter(health.JobRecorder, health.WindowsCompleted, "recording_windows_completed_total", "Recording windows that came to their end."),
	counter(health.JobUploader, health.FragmentsPersisted, "persisted_fragments_total", "Fragments that the cloud has acknowledged as "+
		"persisted."),
	counter(health.JobUploader, health.BytesUploaded, "persisted_bytes_total", "Bytes of persisted fragments."),
	counter(health.JobUploader, health.FragmentsRefused, "skipped_fragments_total", "Fragments that the cloud refused and that stay on disk."),
	counter(health.JobUploader, health.UploadSessions, "upload_sessions_total", "PutMedia sessions opened."),
	gauge(health.JobUploader, health.LastPersistedTime, "last_persisted_timestamp_seconds",
		"When the last fragment was acknowledged as persisted; 0 for never.", milli),
	gauge(health.JobUploader, health.LastPersistedMedia, "last_persisted_media_timestamp_seconds",
		"Time of the newest persisted media; 0 for none.", milli),
	counter(health.JobUploader, health.WindowsCompleted, "upload_windows_completed_total", "Upload windows that came to their end."),
	counter(health.JobRetention, health.SegmentsDeleted, "deleted_segments_total", "Segments deleted by age or size."),
	counter(health.JobRetention, health.BytesDeleted, "deleted_bytes_total", "Bytes deleted by age or size."),
	counter(health.JobRetention, health.DeletedBeforeUpload, "deleted_before_upload_segments_total",
		"Segments that age or size deleted although they were not uploaded."),
	counter(health.JobRetention, health.DeletedBeforeUploadBytes, "deleted_before_upload_bytes_total",
		"Bytes that age or size deleted although they were not uploaded."),
}

// usageGauge is a sum of the store as a metric.
type usageGauge struct {
	desc  *prometheus.Desc
	value func(segment.Usage, Stream) float64
}

var usageGauges = []usageGauge{
	{desc("backlog_seconds", "Media on disk that is to be uploaded and not persisted yet.", "stream"),
		func(u segment.Usage, s Stream) float64 { return s.backlog(u.PendingDuration.Seconds()) }},
	{desc("backlog_bytes", "Bytes on disk that are to be uploaded and not persisted yet.", "stream"),
		func(u segment.Usage, s Stream) float64 { return s.backlog(float64(u.PendingBytes)) }},
	{desc("refused_fragments", "Fragments on disk that the cloud refused, and that are not uploaded.", "stream"),
		func(u segment.Usage, _ Stream) float64 { return float64(u.RefusedFragments) }},
	{desc("refused_bytes", "Bytes of these.", "stream"), func(u segment.Usage, _ Stream) float64 { return float64(u.RefusedBytes) }},
	{desc("stored_bytes", "Bytes of the stream on disk.", "stream"), func(u segment.Usage, _ Stream) float64 { return float64(u.Bytes) }},
	{desc("stored_segments", "Segment files of the stream on disk.", "stream"),
		func(u segment.Usage, _ Stream) float64 { return float64(u.Segments) }},
	{desc("stored_limit_bytes", "MaxLocalMediaSizeInMB in bytes; 0 without a limit.", "stream"),
		func(_ segment.Usage, s Stream) float64 { return float64(s.LimitBytes) }},
	{desc("oldest_media_timestamp_seconds", "Time of the oldest media on disk; 0 for none.", "stream"),
		func(u segment.Usage, _ Stream) float64 { return seconds(u.Oldest) }},
}

// siteWiseGauge is a number about SiteWise as a metric.
type siteWiseGauge struct {
	desc  *prometheus.Desc
	value func(SiteWise) float64
}

var siteWiseGauges = []siteWiseGauge{
	{desc("sitewise_waiting_values", "Values about the hub's video that AWS IoT SiteWise is still to get."),
		func(s SiteWise) float64 { return float64(s.Waiting) }},
	{desc("sitewise_waiting_since_timestamp_seconds", "When the oldest of these was to be written first; 0 for none."),
		func(s SiteWise) float64 { return seconds(s.Since) }},
	{desc("sitewise_refused_values", "Values that AWS IoT SiteWise refuses, and which are written again later."),
		func(s SiteWise) float64 { return float64(s.Refused) }},
	{desc("sitewise_too_old_rows", "Rows of more than 7 days ago that are not right, and which AWS IoT SiteWise does not change."),
		func(s SiteWise) float64 { return float64(s.TooOld) }},
	{desc("sitewise_last_written_timestamp_seconds", "When AWS IoT SiteWise accepted a value last; 0 for never since the start."),
		func(s SiteWise) float64 { return seconds(s.Written) }},
}

var (
	descBuild = desc("build_info", "The version that runs.", "version")
	descJob   = desc("job_activity", "1 for what the job does: running, scheduled (waits for its window) or failed.", "stream", "job",
		"activity")
	descCondition = desc("condition", "1 for each thing that is out of the ordinary; status has the sentence.", "stream", "job", "code",
		"severity")
	descTier = desc("storage_tier", "1 for the tier in which Kinesis Video Streams stores the stream's media: HOT or WARM; none while it "+
		"is not known.", "stream", "tier")
	descMode = desc("upload_mode", "1 for how the stream is uploaded: scheduled, live or on-request; none where nothing is uploaded.",
		"stream", "mode")
	descFree     = desc("disk_free_bytes", "Free bytes of the disk that holds the recordings.")
	descTotal    = desc("disk_size_bytes", "Size of the disk that holds the recordings.")
	descSent     = desc("aws_sent_bytes_total", "TCP payload sent to AWS.")
	descReceived = desc("aws_received_bytes_total", "TCP payload received from AWS.")
	descCap      = desc("upload_cap_bytes", "What AWS_KVS_EDGE_UPLOAD_CAP allows in the present period.")
	descCapUsed  = desc("upload_cap_used_bytes", "Of these, what the line carried, with its overhead.")
	descDropped  = desc("cloudwatch_dropped_points_total", "Points that CloudWatch never got.")
	activities   = map[Activity]string{Running: "running", Scheduled: "scheduled", Errored: "failed"}
)

// collector reads everything once for each scrape.
type collector struct{ o PrometheusOptions }

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, n := range jobNumbers {
		to <- n.desc
	}
	for _, g := range usageGauges {
		to <- g.desc
	}
	for _, g := range siteWiseGauges {
		to <- g.desc
	}
	for _, d := range []*prometheus.Desc{descBuild, descJob, descCondition, descTier, descMode, descFree, descTotal, descDropped, descSent,
		descReceived, descCap, descCapUsed, descWaited, descCelsius, descThrottled, descLifeUsed, descPreEOL} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	var put putMetric = func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	put(descBuild, prometheus.GaugeValue, 1, c.o.Version)
	if free, total, err := c.o.Store.DiskFree(); err == nil {
		put(descFree, prometheus.GaugeValue, float64(free))
		put(descTotal, prometheus.GaugeValue, float64(total))
	}
	components := make(map[health.Key]health.ComponentSnapshot)
	for _, p := range c.o.Health.Snapshot() {
		components[p.Key] = p
		for _, condition := range p.Conditions {
			put(descCondition, prometheus.GaugeValue, 1, p.Stream, p.Job, condition.Code, condition.Severity.String())
		}
	}
	put(descDropped, prometheus.CounterValue, float64(components[health.Key{Job: health.JobMetrics}].Numbers[health.MetricsDropped]))
	if c.o.Pressure != nil {
		putPressure(put, c.o.Pressure())
	}
	if c.o.SiteWise != nil {
		if now, used := c.o.SiteWise(); used {
			for _, g := range siteWiseGauges {
				put(g.desc, prometheus.GaugeValue, g.value(now))
			}
		}
	}
	if c.o.Line != nil {
		line := c.o.Line()
		put(descSent, prometheus.CounterValue, float64(line.Sent))
		put(descReceived, prometheus.CounterValue, float64(line.Received))
		if line.CapBytes > 0 {
			put(descCap, prometheus.GaugeValue, float64(line.CapBytes))
			put(descCapUsed, prometheus.GaugeValue, float64(line.UsedBytes))
		}
	}
	for _, s := range c.o.Streams() {
		for _, n := range jobNumbers {
			put(n.desc, n.kind, float64(components[health.Key{Stream: s.Name, Job: n.job}].Numbers[n.key])*n.scale, s.Name)
		}
		usage := c.o.Store.Usage(s.Name)
		for _, g := range usageGauges {
			put(g.desc, prometheus.GaugeValue, g.value(usage, s), s.Name)
		}
		if s.StorageTier != "" {
			put(descTier, prometheus.GaugeValue, 1, s.Name, s.StorageTier)
		}
		if s.UploadMode != "" {
			put(descMode, prometheus.GaugeValue, 1, s.Name, s.UploadMode)
		}
		for _, t := range c.o.Jobs {
			if name, ok := activities[ActivityOf(components[health.Key{Stream: s.Name, Job: t.Name}])]; ok {
				put(descJob, prometheus.GaugeValue, 1, s.Name, t.Name, name)
			}
		}
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
