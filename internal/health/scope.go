package health

import (
	"maps"
	"slices"
	"sort"
	"time"
)

// Scope names an activity of a component, such as "recording". A scope holds one condition at most: the outcome of
// its last attempt. The next outcome replaces it, whatever its code, and a success ends it, so that no code can
// be forgotten when its cause has ended.
type Scope string

// Scopes that several components have.
const (
	ScopeJob     Scope = "job"     // the goroutine of a stream's job: a panic, an early return
	ScopeRecord  Scope = "record"  // everything from the secret to the first frame on disk
	ScopeUpload  Scope = "upload"  // everything from a session with the service to a persisted fragment
	ScopeDisk    Scope = "disk"    // reading, writing and deleting on the recording disk
	ScopeReload  Scope = "reload"  // taking over changed settings
	ScopeListing Scope = "listing" // asking the control plane
	ScopeMessage Scope = "message" // following the messages of the cloud
)

// maxCauses bounds the causes of one episode that a scope remembers.
const maxCauses = 16

// occurrence is one cause within an episode: the time from the first failure of a scope to its next success.
type occurrence struct {
	since time.Time
	count int64
}

// scopeState is what a scope reports.
type scopeState struct {
	condition Condition
	seen      map[string]occurrence // by cause: two that alternate keep their times
	reported  time.Time             // the last report
	keep      time.Duration         // how long the condition of an event stays; 0: until OK
	timer     *time.Timer           // notifies watchers of that end
}

// expired reports whether an event has been shown long enough.
func (s *scopeState) expired(now time.Time) bool { return s.keep > 0 && now.Sub(s.reported) >= s.keep }

func (s *scopeState) stop() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Report sets the condition of a scope to the fault, in place of what the scope reported before. The same cause
// reported again keeps Since, takes the new text, and counts; another cause is another occurrence. Report
// returns whether the cause is new since the scope's last success, which is when to log it.
func (c *Component) Report(scope Scope, severity Severity, f *Fault) (isNew bool) {
	return c.Note(scope, severity, f, 0)
}

// Note is Report for an event, which is over when it is reported: the condition ends by itself when it was not
// reported for so long.
func (c *Component) Note(scope Scope, severity Severity, f *Fault, keep time.Duration) (isNew bool) {
	now := c.registry.now()
	c.mu.Lock()
	s := c.scopes[scope]
	if s == nil || s.expired(now) {
		if s != nil {
			s.stop()
		}
		s = &scopeState{seen: make(map[string]occurrence)}
		c.scopes[scope] = s
	}
	old, cause := s.condition, f.Identity()
	o, had := s.seen[cause]
	if !had {
		if len(s.seen) >= maxCauses {
			clear(s.seen)
		}
		o.since = now
	}
	o.count++
	s.seen[cause] = o
	s.condition = Condition{Code: f.Code, Class: f.Class, Severity: severity, Text: Clean(f.Text, MaxText), Since: o.since, Count: o.count}
	s.reported, s.keep = now, keep
	if s.stop(); keep > 0 {
		s.timer = time.AfterFunc(keep, c.registry.watchers.Notify)
	}
	c.mu.Unlock()
	if !had || old.Text != f.Text || old.Class != f.Class || old.Severity != severity || old.Code != f.Code {
		c.registry.watchers.Notify()
	}
	return !had
}

// OK ends what these scopes reported: their last attempt succeeded. It returns whether there was something to end.
func (c *Component) OK(scopes ...Scope) (had bool) {
	c.mu.Lock()
	for _, scope := range scopes {
		if s := c.scopes[scope]; s != nil {
			had = true
			s.stop()
			delete(c.scopes, scope)
		}
	}
	c.mu.Unlock()
	if had {
		c.registry.watchers.Notify()
	}
	return had
}

// End ends all scopes: the job has ended, so nothing it reported holds any longer.
func (c *Component) End() (had bool) {
	c.mu.Lock()
	scopes := slices.Collect(maps.Keys(c.scopes))
	c.mu.Unlock()
	return c.OK(scopes...)
}

// conditions are those of all scopes, worst first. A code is there once, although two scopes may report it.
// Called with mu held.
func (c *Component) conditions(now time.Time) []Condition {
	byCode := make(map[string]Condition)
	for scope, s := range c.scopes {
		if s.expired(now) {
			s.stop()
			delete(c.scopes, scope)
			continue
		}
		worst, other := s.condition, byCode[s.condition.Code]
		if other.Code != "" && (other.Severity > worst.Severity || other.Severity == worst.Severity && other.Since.Before(worst.Since)) {
			worst = other
		}
		byCode[worst.Code] = worst
	}
	list := slices.Collect(maps.Values(byCode))
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Severity != b.Severity {
			return a.Severity > b.Severity
		}
		return a.Code < b.Code
	})
	return list
}
