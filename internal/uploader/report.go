package uploader

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/forecast"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// The codes of the conditions.
const (
	codeUpload  = "upload"         // fragments do not get through; ends with the next that does, and when none is left
	codeRefused = "upload-refused" // fragments were refused within the last day
	codeTags    = "upload-tags"    // fragments are sent without tags, as the service refuses those
	// CodeAudio is for audio that is left out of the upload; it ends with newer media that is sent completely.
	CodeAudio  = "audio-not-uploaded"
	codeLength = "fragment-length" // the service refused fragments as too long; ends with the job, and shorter ones with it
	codeBreaks = "upload-breaks"   // the connection repeatedly breaks before a fragment is sent completely
	codeStore  = "upload-disk"     // recordings cannot be read, or progress cannot be written
)

// The uploader's own scopes.
const (
	scopeRefused health.Scope = "refused"
	scopeTags    health.Scope = "tags"
	scopeBreaks  health.Scope = "breaks"
	scopeLength  health.Scope = "length"
	// ScopeAudio is for the camera's audio that is left out of the upload.
	ScopeAudio health.Scope = "audio"
)

// The states.
const (
	stateIdle      = "idle"
	stateUploading = "uploading"
	stateWaiting   = "waiting for the cloud"
	stateCapped    = "waiting for the cap"
	stateMadeWay   = "waiting for an event's media"
	stateStopped   = "stopped"
)

const (
	// rememberRefused is how long a refused fragment is reported.
	rememberRefused = 24 * time.Hour
	// failedAfter is the number of failures in a row from which on the condition is failed, no longer degraded.
	failedAfter = 3
)

// numbers are the uploader's counters.
type numbers struct {
	persisted, bytes, refused, sessions *health.Counter
	lastTime, lastMedia, backlogDone    *health.Gauge
}

func numbersOf(p *health.Component) numbers {
	return numbers{
		persisted: p.Counter(health.FragmentsPersisted), bytes: p.Counter(health.BytesUploaded),
		refused: p.Counter(health.FragmentsRefused), sessions: p.Counter(health.UploadSessions),
		lastTime: p.Gauge(health.LastPersistedTime), lastMedia: p.Gauge(health.LastPersistedMedia),
		backlogDone: p.Gauge(health.BacklogDoneTime),
	}
}

// report publishes the state of a stream's upload: conditions, counters and one line in the log per episode.
type report struct {
	stream   string
	store    store
	health   *health.Component
	log      *zap.Logger
	now      func() time.Time // the wall clock
	numbers  numbers
	forecast forecast.Forecast
	counted  Counted
	soundAt  time.Time // when the newest fragment was recorded that decided on CodeAudio
	// instead takes what would be reported of fragments that do not get through; nil: it is reported.
	instead func(*health.Fault)
}

func newReport(o Options) report {
	return report{stream: o.Stream, store: o.Store, health: o.Health, log: o.Log, now: o.Now, numbers: numbersOf(o.Health), counted: o.Counted}
}

// opened reports that a session was opened.
func (r *report) opened() {
	r.numbers.sessions.Add(1)
	r.counted.Call()
	r.health.SetState(stateUploading)
}

// interrupted reports that fragments do not get through; failures is how often in a row.
func (r *report) interrupted(a rules.Answer, err error, failures int) {
	r.forecast.Forget()
	r.numbers.backlogDone.Set(0)
	rule, title := a.Rule, a.Given
	if rule.Action == rules.Refuse {
		return // the fragment is reported
	}
	severity := health.Degraded
	if rule.Action == rules.AskUser || failures >= failedAfter {
		severity = health.Failed
	}
	if title != "" {
		title = " (" + title + ")"
	}
	fault := health.NewFault(rule.Class(), codeUpload, err, "Stream %s is not uploaded: %s%s. %s", r.stream, rule.Cause, title, rule.Advice)
	var below *health.Fault // of the credentials: it is more precise
	if errors.As(err, &below) {
		fault = below.Recode(codeUpload, below.Text)
	}
	if r.instead != nil {
		r.instead(fault)
		return
	}
	if r.health.Report(health.ScopeUpload, severity, fault) {
		logevent.Condition(r.log, fault)
	}
}

// passed reports that a fragment, or a part of it, is persisted.
func (r *report) passed(f inflight) {
	now := r.now()
	r.numbers.bytes.Add(f.size)
	r.counted.Persisted(f.Began(), f.Ended(), f.size)
	r.numbers.lastTime.Set(now.UnixMilli())
	// Media that was sent while its times were ahead is not newer than the media recorded since.
	media := max(r.numbers.lastMedia.Load(), f.Ended().UnixMilli())
	r.numbers.lastMedia.Set(min(media, r.store.LastRecorded(r.stream).UnixMilli()))
	done := int64(0)
	if at := r.forecast.Note(now, r.store.Usage(r.stream).PendingDuration); !at.IsZero() {
		done = at.UnixMilli()
	}
	r.numbers.backlogDone.Set(done)
	r.health.SetState(stateUploading)
	if r.health.OK(health.ScopeUpload) {
		logevent.UploadResumed.Log(r.log)
	}
}

// noneLeft is called when nothing is pending: fragments that did not get through were refused or deleted, and progress
// that could not be saved is no longer needed.
func (r *report) noneLeft() {
	if r.health.OK(health.ScopeUpload) {
		logevent.UploadNothingLeft.Log(r.log)
	}
}

// pause reports that nothing is being uploaded, so that the end of the backlog cannot be estimated either.
func (r *report) pause(state string) {
	r.forecast.Forget()
	r.numbers.backlogDone.Set(0)
	r.health.SetState(state)
}

func (r *report) refused(f queue.Fragment, a rules.Answer) {
	fault := health.SystemFault(codeRefused, nil, "The fragment at %s of stream %s was not uploaded and stays on the hub: %s (%s). %s "+
		"It is sent again once a day, %d times at most, and by `kvs-edge-agent upload --refused`.",
		timeText(f.At()), r.stream, a.Rule.Cause, a.Title(), a.Rule.Advice, refused.MaxTries)
	if r.health.Note(scopeRefused, health.Degraded, fault, rememberRefused) {
		logevent.Condition(r.log, fault)
	}
}

// tooLong reports that the service does not accept fragments that are longer.
func (r *report) tooLong(longest time.Duration) {
	fault := health.SystemFault(codeLength, nil, "Kinesis Video Streams does not accept fragments of more than %s of stream %s (4002): "+
		"they are sent in parts, and new ones end at the first keyframe after 1 s, until the agent is restarted. Set "+
		"AWS_KVS_EDGE_FRAGMENT_DURATION to a length that it accepts, such as 5s.", health.Varying(humanize.Length(longest)), r.stream)
	if r.health.Report(scopeLength, health.Info, fault) {
		logevent.Condition(r.log, fault)
	}
}

// damaged reports that a part of a segment was not uploaded, as it cannot be read.
func (r *report) damaged(k segment.Key) {
	fault := health.SystemFault(codeRefused, nil, "The recording at %s of stream %s is damaged on the hub's disk: "+
		"the damaged part was not uploaded, and the file is kept. Check the disk; `kvs-edge-agent verify --stream %s` names the part.",
		timeText(k.Start), r.stream, r.stream)
	if r.health.Note(scopeRefused, health.Degraded, fault, rememberRefused) {
		logevent.Condition(r.log, fault)
	}
}

// stuck reports the fragment that does not get through, as the connection breaks with it, or, with nil, that there is none.
func (r *report) stuck(x *poison.Suspect) {
	if x == nil {
		if r.health.OK(scopeBreaks) {
			logevent.UploadBreaksEnded.Log(r.log)
		}
		return
	}
	how := "it has no further key frame at which it could be sent in parts"
	if x.Split != nil {
		how = "it is sent in parts, from key frame to key frame"
	}
	fault := health.SystemFault(codeBreaks, nil, "The fragment at %s of stream %s (%s) has not been uploaded since %s: "+
		"the connection repeatedly breaks before it is sent completely; %s. It is kept and retried until it is uploaded, and others are sent "+
		"in between. "+
		"%s A shorter key frame interval of the camera makes fragments smaller.",
		timeText(x.First.At()), r.stream, humanize.Bytes(x.First.Stored.Size), x.Since.UTC().Format(time.RFC3339), how, rules.AdviceNetwork)
	if r.health.Report(scopeBreaks, health.Degraded, fault) {
		logevent.Condition(r.log, fault)
	}
}

// timeText formats a producer timestamp, in ms since 1970, as RFC 3339 with milliseconds.
func timeText(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// unreadable reports a failure of the disk. The upload continues with the fragments that can be read.
func (r *report) unreadable(err error) {
	fault := health.SystemFault(codeStore, err, "A recording of stream %s cannot be read, or its progress cannot be written: check the disk; "+
		"`kvs-edge-agent verify` names what is damaged. It is tried again.", r.stream)
	if r.health.Report(health.ScopeDisk, health.Degraded, fault) {
		logevent.Condition(r.log, fault)
	}
}

// readable ends the condition that unreadable reported.
func (r *report) readable() {
	if r.health.OK(health.ScopeDisk) {
		logevent.UploadDiskRecovered.Log(r.log)
	}
}

// sound reports whether audio is left out of the newest media that got through: a live upload sends
// older media in between, which says nothing about what the camera sends now.
func (r *report) sound(f inflight, setting Audio) {
	if f.Began().Before(r.soundAt) && setting != AudioAll {
		return
	}
	if f.Began().After(r.soundAt) {
		r.soundAt = f.Began()
	}
	if f.omitted.Name == "" {
		if r.health.OK(ScopeAudio) {
			logevent.AudioUploaded.Log(r.log)
		}
		return
	}
	text := "The audio of stream %s is %s, with which neither the console nor HLS plays the video: " +
		"it is recorded on the hub but not uploaded. Set the camera to AAC, or AWS_KVS_EDGE_AUDIO to on (send it all the same) or off."
	if f.omitted.Never {
		text = "The audio of stream %s is %s, which Kinesis Video Streams does not play: " +
			"it is recorded on the hub but not uploaded. Set the camera to AAC in mono or stereo, or AWS_KVS_EDGE_AUDIO to off."
	}
	fault := health.UserFault(CodeAudio, nil, text, r.stream, f.omitted.Name)
	if r.health.Report(ScopeAudio, health.Info, fault) {
		logevent.Condition(r.log, fault, zap.String("codec", f.omitted.Name))
	}
}
