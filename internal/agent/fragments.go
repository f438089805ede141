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
	tags    map[string]desired.Tags  // of the streams in the cloud, as far as they are known; guarded by mu
	longest map[string]time.Duration // that the service accepts, of streams for which it accepts only short ones; guarded by mu
}

// begin forgets the tags that an earlier upload of a stream knew.
func (l *fragmentLengths) begin(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tags, stream)
}

// tagged records the tags of a stream in the cloud.
func (l *fragmentLengths) tagged(stream string, tags desired.Tags) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tags == nil {
		l.tags = make(map[string]desired.Tags)
	}
	l.tags[stream] = tags
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

// of returns what is known of a stream; longest is 0 where the service has refused none as too long.
func (l *fragmentLengths) of(stream string) (tags desired.Tags, longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tags[stream], l.longest[stream]
}

// fragmentTarget returns how long a stream's fragments may become; see fragment.Length. It is called at each keyframe.
func (a *Agent) fragmentTarget(stream string) time.Duration {
	var upload desired.Upload
	if st := a.streams.get(stream); st != nil { // else it is just being started
		upload = st.wanted.Upload
	}
	length, when := a.fragmentLength(stream, upload)
	if a.eventGrows(stream) {
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
	if _, longest := a.fragments.of(stream); longest > 0 {
		return fragment.Length{}, fragment.Live
	}
	tags, live := a.uploadOf(stream, upload)
	length := a.settings().FragmentDuration
	if wanted, err := fragment.Parse(tags.Fragment); err == nil && tags.Fragment != "" {
		length = wanted
	}
	if live {
		return length, fragment.Live
	}
	return length, fragment.Later
}

// uploadOf returns the tags that apply to a stream's upload, as far as they are known, and whether it is live.
func (a *Agent) uploadOf(stream string, upload desired.Upload) (tags desired.Tags, live bool) {
	if tags = upload.Tags; upload.FromTags {
		tags, _ = a.fragments.of(stream)
	}
	mode, _ := a.uploadMode.get()
	return tags, !a.settings().NoCloud && modeOf(tags, mode) == settings.UploadLive
}

// codeFragmentTag says that a stream's tag with the length of its fragments is wrong.
const codeFragmentTag = "fragment-tag"

const scopeFragmentTag health.Scope = "fragment-tag"

// reportFragmentTag reports a tag in the cloud that is not a length: those in stream files were checked.
func reportFragmentTag(stream string, tags desired.Tags, component *health.Component, log *zap.Logger) {
	_, err := fragment.Parse(tags.Fragment)
	if err == nil {
		component.OK(scopeFragmentTag)
		return
	}
	fault := health.UserFault(codeFragmentTag, nil, "The tag %s of stream %s is %q, so the hub's %s applies: it %s.",
		desired.TagFragment, stream, tags.Fragment, settings.EnvFragmentDuration, err)
	if component.Report(scopeFragmentTag, health.Info, fault) {
		logevent.Condition(log, fault)
	}
}
