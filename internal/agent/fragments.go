package agent

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// fragmentLengths has what decides on the length of the streams' fragments and is known to their uploads only. Safe for
// concurrent use.
type fragmentLengths struct {
	mu      sync.Mutex
	longest map[string]time.Duration // that the service accepts, of streams for which it accepts only short ones; guarded by mu
}

// tooLong records that the service does not accept longer fragments of a stream, until the agent ends.
func (l *fragmentLengths) tooLong(stream string, longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.longest == nil {
		l.longest = make(map[string]time.Duration)
	}
	l.longest[stream] = longest
}

// longestOf returns how long fragments of a stream may be for the service; 0 where it has refused none as too long.
func (l *fragmentLengths) longestOf(stream string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.longest[stream]
}

// fragmentTarget returns how long a stream's fragments may become; see fragment.Length. It is called at each keyframe.
func (a *Agent) fragmentTarget(stream string) time.Duration {
	var upload desired.Upload
	if st := a.streams.get(stream); st != nil { // else it is just being started
		upload = st.wanted.Upload
	}
	length, when := a.fragmentLength(stream, upload)
	if a.events.Grows(stream) {
		return fragment.Shortest
	}
	return length.Target(when)
}

// fragmentWords says how long a stream's fragments become, and what that means for a kill.
func (a *Agent) fragmentWords(s desired.Stream) string {
	length, when := a.fragmentLength(s.Name, s.Upload)
	words := length.Words(when)
	if !a.settings().NoCloud {
		words += "; a kill repeats at most 5 s of the upload, or two fragments where they are longer"
	}
	return words
}

// fragmentLength returns what decides on the length of a stream's fragments: its tag, or else the hub's setting, with the upload mode.
func (a *Agent) fragmentLength(stream string, upload desired.Upload) (fragment.Length, fragment.Upload) {
	if a.fragments.longestOf(stream) > 0 {
		return fragment.Length{}, fragment.Live
	}
	tags, mode := a.uploadOf(stream, upload)
	length := a.settings().FragmentDuration
	if wanted, err := fragment.Parse(tags.Fragment); err == nil && tags.Fragment != "" {
		length = wanted
	}
	if mode == settings.UploadLive || upload.LiveSince != 0 {
		return length, fragment.Live
	}
	return length, fragment.Later
}

// The codes of tags in the cloud that are wrong: those in stream files were checked.
const (
	codeFragmentTag = "fragment-tag" // it is not a length
	codeUploadTag   = "upload-tag"   // it is not an upload mode
)

const (
	scopeFragmentTag health.Scope = "fragment-tag"
	scopeUploadTag   health.Scope = "upload-tag"
)

// shownTag bounds the value of a tag in a sentence, in characters.
const shownTag = 64

// reportTags reports the tags of a stream that are wrong, and for which the hub's settings apply therefore.
func reportTags(stream string, tags desired.Tags, component *health.Component, log *zap.Logger) {
	report := func(scope health.Scope, fault *health.Fault) {
		if fault == nil {
			component.OK(scope)
		} else if component.Report(scope, health.Info, fault) {
			logevent.Condition(log, fault)
		}
	}
	var length, mode *health.Fault
	if _, err := fragment.Parse(tags.Fragment); err != nil {
		length = health.UserFault(codeFragmentTag, nil, "The tag %s of stream %s is %q, so the hub's %s applies: it %s.",
			desired.TagFragment, stream, health.Clean(tags.Fragment, shownTag), settings.EnvFragmentDuration, err)
	}
	if _, ok := settings.ParseUploadMode(tags.Upload); !ok && tags.Upload != "" {
		mode = health.UserFault(codeUploadTag, nil, "The tag %s of stream %s is %q, so the hub's %s applies: it must be %s, %s or %s.",
			desired.TagUpload, stream, health.Clean(tags.Upload, shownTag), settings.EnvUploadMode, settings.UploadScheduled,
			settings.UploadLive, settings.UploadOnRequest)
	}
	report(scopeFragmentTag, length)
	report(scopeUploadTag, mode)
}
