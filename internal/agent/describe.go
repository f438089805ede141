package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamtags"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/tier"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// describe says what is in force of a stream, without a secret.
func (a *Agent) describe(s desired.Stream) status.Wanted {
	sync := a.config.sources.SyncOf(s)
	w := status.Wanted{
		Origin: string(s.Origin), Version: s.Version.Time(), Sync: sync.Status, SyncDetails: sync.FailedStatusDetails,
		Media: s.Media.Kind.String(), MediaURI: shownMedia(s.Media), Record: s.Record.String(), Upload: a.uploadWords(s),
		NextWindow: a.nextOpening(s.Record.Plan(0)), Keep: a.keepOf(s).Describe(a.settings().DeletesAudited()), Tags: s.Upload.Tags.Map(),
		Fragments: a.fragmentWords(s),
	}
	_, mode := a.uploadOf(s.Name, s.Upload)
	w.UploadMode = string(mode)
	related := a.related.get()
	w.MainOf, w.SubOf = related.Subs(s.Name), related.Main(s.Name)
	if expression, length, ok := s.Record.Windows(); ok {
		w.RecordExpression, w.RecordSeconds = expression, length.Seconds()
	}
	if expression, length, ok := s.Upload.Schedule.Windows(); ok {
		w.UploadExpression, w.UploadSeconds = expression, length.Seconds()
	}
	return w
}

// uploadWords says when a stream is uploaded, as far as that is known on the hub.
func (a *Agent) uploadWords(s desired.Stream) string {
	switch _, mode := a.uploadOf(s.Name, s.Upload); mode {
	case "":
		return "never, as " + settings.EnvCloud + " is off"
	case settings.UploadLive:
		return "live"
	case settings.UploadOnRequest:
		if s.Upload.LiveSince != 0 {
			return "live, and what is older on request"
		}
		return "on request"
	default:
		return s.Upload.Schedule.String()
	}
}

// shownMedia is where a stream's media comes from: the secret's ARN, or the URL without user, password and parameters.
func shownMedia(m desired.Media) string {
	if m.URL.Empty() {
		return m.SecretARN
	}
	raw := address.Tidy(m.URL.Reveal())
	scheme, rest, _ := strings.Cut(raw, "://")
	if m.Kind == desired.Clip {
		path, _, _ := strings.Cut(rest, "?")
		return string(secret.Scrub([]byte(scheme + "://" + path)))
	}
	at, err := address.Parse(m.URL)
	if err != nil {
		return secret.Redacted
	}
	user, query := "", ""
	if strings.Contains(rest, "@") {
		user = secret.Redacted + "@"
	}
	if at.URL.RawQuery != "" {
		query = "?" + secret.Redacted
	}
	return scheme + "://" + user + at.Host + string(secret.Scrub([]byte(at.URL.EscapedPath()))) + query
}

// countUploads opens what is known of uploads and of how the cloud stores them.
func (a *Agent) countUploads(dir statefile.Dir) {
	a.counted = tally.Open(tally.Options{Dir: dir, Now: time.Now, Log: a.log})
	a.tags = streamtags.Open(dir, a.log)
	if a.kvs == nil {
		return
	}
	a.tiers = tier.Open(tier.Options{
		Cloud: a.kvs, Streams: a.streams.names, Health: a.health, Dir: dir, Log: a.log,
		Lengths: func(stream string) tier.Lengths {
			return tier.Lengths{Day: a.counted.LastDay(stream).Mean(), Recent: a.counted.Stream(stream).Recent(), Live: a.uploadPlan(stream).Live}
		},
	})
}

// stateDirectory opens the state directory.
func (a *Agent) stateDirectory() (statefile.Dir, error) {
	dir, err := statefile.Open(a.settings().StateDirectory, atomicfile.OS{})
	if err != nil {
		return dir, fmt.Errorf("cannot open the state directory (%s): %w", settings.EnvStateDirectory, err)
	}
	return dir, nil
}

// openMeter opens the count of what the line to AWS carries.
func (a *Agent) openMeter() error {
	dir, err := a.stateDirectory()
	if err != nil {
		return err
	}
	a.meter = meter.Open(meter.Options{
		Dir: dir, Clock: a.hubClock, Cap: a.settings().LineCap, Health: a.health.Component("", health.JobCloud), Log: a.log,
	})
	a.onDemand.Cap = a.meter
	return nil
}

// lineCap is how much of the line's cap is used; nil without a cap.
func (a *Agent) lineCap() *status.UploadCap {
	if a.meter == nil {
		return nil
	}
	m := a.meter.State()
	if m.Cap.IsNone() {
		return nil
	}
	return &status.UploadCap{
		Setting: m.Cap.String(), CapBytes: m.Cap.Bytes, UsedBytes: m.Used, SentBytes: m.Sent, ReceivedBytes: m.Received,
		Overhead: m.Cap.Overhead, PeriodStart: m.Start, ResetsAt: m.Reset, ReachedAt: m.Reached, Suffices: m.Suffices, ClockTrusted: m.ClockKnown,
		NotUploaded: m.Level.String(),
	}
}

// lineUse is the line as metrics sees it.
func (a *Agent) lineUse() (use metrics.Line) {
	if a.meter == nil {
		return metrics.Line{}
	}
	m := a.meter.State()
	use.Sent, use.Received = a.meter.Totals()
	use.CapBytes, use.UsedBytes = m.Cap.Bytes, m.Used
	return use
}

// sample is how the hub is now, for its history.
func (a *Agent) sample(brief func() status.Snapshot) history.Sample {
	now := brief()
	out := history.Sample{Time: now.Time, DiskUsed: now.Disk.TotalBytes - now.Disk.FreeBytes, DiskTotal: now.Disk.TotalBytes,
		BacklogBytes: make(map[string]int64), UsedBytes: make(map[string]int64)}
	if out.HasLine = a.meter != nil; out.HasLine {
		out.LineSent, out.LineReceived = a.meter.Totals()
	}
	for _, s := range now.Streams {
		out.BacklogBytes[s.Name], out.UsedBytes[s.Name] = s.Uploader.BacklogBytes, s.Space.UsedBytes
	}
	return out
}

// storage is how the cloud stores a stream's media, as far as that is known.
func (a *Agent) storage(stream string) (tierName string, retentionHours *int) {
	if a.tiers == nil {
		return "", nil
	}
	s := a.tiers.Of(stream)
	return s.Tier, s.RetentionHours
}

// uploads is what the local API shows of them.
func (a *Agent) uploads() localapi.Uploads {
	return localapi.Uploads{Counted: a.counted, Storage: a.storage, Plan: a.uploadPlan}
}

// uploadPlan is how a stream is uploaded, as far as that decides on what it costs.
func (a *Agent) uploadPlan(stream string) usage.Plan {
	st := a.streams.get(stream)
	if st == nil {
		return usage.Plan{OnRequest: true}
	}
	upload := st.wanted.Upload
	tags, mode := a.uploadOf(stream, upload)
	plan := usage.Plan{
		Live:      mode == settings.UploadLive,
		OnRequest: mode == "" || mode == settings.UploadOnRequest || mode == settings.UploadScheduled && upload.Schedule.IsNever(),
		ShortOnly: a.fragments.longestOf(stream) > 0, AllAudio: a.settings().Audio.Uploaded() == uploader.AudioAll,
	}
	if _, err := fragment.Parse(tags.Fragment); err == nil {
		plan.FragmentTag = tags.Fragment
	}
	return plan
}

// siteWiseUse is the writing to AWS IoT SiteWise as metrics sees it.
func (a *Agent) siteWiseUse() (use metrics.SiteWise, used bool) {
	now := a.siteWiseHub.Status()
	if now == nil {
		return use, false
	}
	b := now.WriteBack
	return metrics.SiteWise{Waiting: b.Waiting, Refused: b.Refused, TooOld: b.TooOld, Since: b.WaitingSince, Written: b.WrittenAt}, true
}
