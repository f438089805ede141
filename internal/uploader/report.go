package uploader

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// The codes of the conditions.
const (
	CodeUpload  = "upload"             // fragments do not get through; ends with the next that does, and when none is left
	CodeRefused = "upload-refused"     // fragments were skipped within the last day
	CodeTags    = "upload-tags"        // fragments go without tags, as the service refuses those
	CodeAudio   = "audio-not-uploaded" // sound is left out of the upload; ends with newer media that is sent whole
	CodeBreaks  = "upload-breaks"      // the line breaks before a fragment is through, again and again
	CodeStore   = "upload-disk"        // recordings cannot be read, or progress not be written
)

// Scopes of the uploader's own.
const (
	scopeRefused health.Scope = "refused"
	scopeTags    health.Scope = "tags"
	scopeBreaks  health.Scope = "breaks"
	// ScopeAudio is what is left out of the upload of the camera's sound.
	ScopeAudio health.Scope = "audio"
)

// The states.
const (
	stateIdle      = "idle"
	stateUploading = "uploading"
	stateWaiting   = "waiting for the cloud"
	stateStopped   = "stopped"
)

const (
	// rememberRefused is how long a skipped fragment is reported.
	rememberRefused = 24 * time.Hour
	// failedAfter failures in a row the condition is no longer merely degraded.
	failedAfter = 3
)

// numbers are the uploader's counters.
type numbers struct {
	persisted, bytes, skipped, sessions, lastTime, lastMedia, backlogDone *health.Number
}

func numbersOf(p *health.Part) numbers {
	return numbers{
		persisted: p.Number(health.FragmentsPersisted), bytes: p.Number(health.BytesUploaded),
		skipped: p.Number(health.FragmentsSkipped), sessions: p.Number(health.UploadSessions),
		lastTime: p.Number(health.LastPersistedTime), lastMedia: p.Number(health.LastPersistedMedia),
		backlogDone: p.Number(health.BacklogDoneTime),
	}
}

func (u *Uploader) report(a rules.Answer, err error) {
	rule, title := a.Rule, a.Given
	if rule.Action == rules.Refuse {
		return // the fragment is reported
	}
	severity := health.Degraded
	if rule.Action == rules.AskUser || u.failures >= failedAfter {
		severity = health.Failed
	}
	if title != "" {
		title = " (" + title + ")"
	}
	fault := health.NewFault(rule.Class(), CodeUpload, err, "Stream %s is not uploaded: %s%s. %s", u.o.Stream, rule.Cause, title, rule.Advice)
	var below *health.Fault // of the credentials: it says more than we can
	if errors.As(err, &below) {
		fault = below.Recode(CodeUpload, below.Text)
	}
	if u.o.Health.Report(health.ScopeUpload, severity, fault) {
		u.log.Warn("the upload is interrupted", zap.String("why", fault.Text), zap.NamedError("cause", err))
	}
}

func (u *Uploader) reportThrough(s shot) {
	now := u.o.Now()
	u.numbers.bytes.Add(s.size)
	u.numbers.lastTime.Set(now.UnixMilli())
	// What was sent when its times were ahead is not newer than what was recorded since.
	media := max(u.numbers.lastMedia.Load(), s.ended().UnixMilli())
	u.numbers.lastMedia.Set(min(media, u.o.Store.LastRecorded(u.o.Stream).UnixMilli()))
	done := int64(0)
	if at := u.forecast.note(now, u.o.Store.Usage(u.o.Stream).PendingDuration); !at.IsZero() {
		done = at.UnixMilli()
	}
	u.numbers.backlogDone.Set(done)
	u.o.Health.SetState(stateUploading)
	if u.o.Health.OK(health.ScopeUpload) {
		u.log.Info("upload resumed")
	}
}

// reportNoneLeft is called when nothing pends: what did not get through was refused or deleted, and what could not
// be noted matters no more.
func (u *Uploader) reportNoneLeft() {
	u.reportReadable()
	if u.o.Health.OK(health.ScopeUpload) {
		u.log.Info("nothing is left to upload of what did not get through")
	}
}

// reportPause says that nothing is being uploaded, so nothing can be said of its end either.
func (u *Uploader) reportPause(state string) {
	u.forecast.forget()
	u.numbers.backlogDone.Set(0)
	u.o.Health.SetState(state)
}

func (u *Uploader) reportRefused(s shot, a rules.Answer) {
	fault := health.SystemFault(CodeRefused, nil, "The fragment at %s of stream %s was not uploaded and stays on the hub: %s (%s). %s "+
		"It is sent again once a day, %d times at most, and by `kvs-edge-agent upload --refused`.",
		inWords(s.at()), u.o.Stream, a.Rule.Cause, a.Title(), a.Rule.Advice, maxRefusedTries)
	if u.o.Health.Note(scopeRefused, health.Degraded, fault, rememberRefused) {
		u.log.Warn("a fragment is skipped", zap.String("why", fault.Text))
	}
}

// reportDamaged says that a part of a segment was not uploaded as it cannot be read.
func (u *Uploader) reportDamaged(k segment.Key) {
	fault := health.SystemFault(CodeRefused, nil, "The recording at %s of stream %s is damaged on the hub's disk: what cannot be read of it was "+
		"not uploaded, and the file is kept. Check the disk; `kvs-edge-agent verify --stream %s` says which part it is.",
		inWords(k.Start), u.o.Stream, u.o.Stream)
	if u.o.Health.Note(scopeRefused, health.Degraded, fault, rememberRefused) {
		u.log.Warn("a part of a recording cannot be uploaded", zap.String("why", fault.Text))
	}
}

// reportStuck says which fragment does not get through as the line breaks with it, or that none does.
func (u *Uploader) reportStuck() {
	x := u.suspects.stuck()
	if x == nil {
		if u.o.Health.OK(scopeBreaks) {
			u.log.Info("no fragment is left with which the line broke again and again")
		}
		return
	}
	how := "it has no further key frame at which it could be sent in parts"
	if x.split != nil {
		how = "it is sent in parts, from key frame to key frame"
	}
	fault := health.SystemFault(CodeBreaks, nil, "The fragment at %s of stream %s (%s) has not got through since %s: "+
		"the connection breaks before it is sent, again and again; %s. It is kept and tried until it gets through, and others go in between. "+
		"%s A shorter key frame interval of the camera makes fragments smaller.",
		inWords(x.first.at()), u.o.Stream, humanize.Bytes(x.first.frag.Size), x.since.UTC().Format(time.RFC3339), how, rules.AdviceNetwork)
	if u.o.Health.Report(scopeBreaks, health.Degraded, fault) {
		u.log.Warn("a fragment does not get through", zap.String("why", fault.Text))
	}
}

// inWords is a time on the wire, in ms since 1970, as people and machines read it.
func inWords(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// unreadable reports a failure of the disk. Uploading goes on with what can be read.
func (u *Uploader) unreadable(err error) {
	fault := health.SystemFault(CodeStore, err, "A recording of stream %s cannot be read, or its progress cannot be written: check the disk; "+
		"`kvs-edge-agent verify` names what is damaged. It is tried again.", u.o.Stream)
	if u.o.Health.Report(health.ScopeDisk, health.Degraded, fault) {
		u.log.Warn("a recording cannot be uploaded", zap.String("why", fault.Text), zap.Error(err))
	}
}

// reportReadable ends what unreadable reported, unless refused fragments still cannot be queued.
func (u *Uploader) reportReadable() {
	if u.queuesRefused() && u.o.Health.OK(health.ScopeDisk) {
		u.log.Info("recordings can be read, and progress be written again")
	}
}
