package retention

import (
	"slices"
	"sync"
	"time"
)

// forgetPolicy is how long the policy of a stream without configuration and media is kept.
const forgetPolicy = 30 * 24 * time.Hour

// kept is a policy, and whether its stream is configured now. A stream that no longer is keeps its last policy.
type kept struct {
	Policy
	configured bool
	emptySince time.Time // when a pass first found it without configuration and media; zero otherwise
}

// policyRecord is the form of a policy in the file.
type policyRecord struct {
	MaxAgeSeconds     int64     `json:"maxAgeSeconds,omitempty"`
	MaxBytes          int64     `json:"maxBytes,omitempty"`
	DenyNew           bool      `json:"denyNew,omitempty"`
	DeleteAfterUpload bool      `json:"deleteAfterUpload,omitempty"`
	Local             bool      `json:"local,omitempty"`
	EmptySince        time.Time `json:"emptySince,omitzero"`
}

// policies has the policy of each stream. Safe for concurrent use.
type policies struct {
	mu       sync.Mutex
	byStream map[string]kept // guarded by mu
	unsaved  bool            // the file does not have all policies; guarded by mu
}

// set makes p the policy of a configured stream.
func (l *policies) set(stream string, p Policy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.byStream[stream]; !ok || before.Policy != p || !before.emptySince.IsZero() {
		l.unsaved = true
	}
	l.byStream[stream] = kept{Policy: p, configured: true}
}

// remove records that a stream is no longer configured.
func (l *policies) remove(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.byStream[stream]; ok {
		p.configured = false
		l.byStream[stream] = p
	}
}

// forget drops the policy of a stream that is not configured.
func (l *policies) forget(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.byStream[stream]; ok && !p.configured {
		delete(l.byStream, stream)
		l.unsaved = true
	}
}

// of returns the policy of a stream.
func (l *policies) of(stream string) (p kept, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, known = l.byStream[stream]
	return p, known
}

// streams returns those that have a policy and that want accepts.
func (l *policies) streams(want func(kept) bool) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for stream, p := range l.byStream {
		if want(p) {
			names = append(names, stream)
		}
	}
	return names
}

// load reads the policies from the file, and calls each with every one of them.
func (l *policies) load(file jsonFile, each func(stream string, p Policy)) error {
	var before map[string]policyRecord
	if err := file.load(&before); err != nil {
		return err
	}
	for stream, r := range before {
		p := Policy{MaxAge: time.Duration(r.MaxAgeSeconds) * time.Second, MaxBytes: r.MaxBytes, DeleteAfterUpload: r.DeleteAfterUpload,
			Local: r.Local}
		if r.DenyNew {
			p.OnFull = DenyNew
		}
		l.mu.Lock()
		l.byStream[stream] = kept{Policy: p, emptySince: r.EmptySince}
		l.mu.Unlock()
		each(stream, p)
	}
	return nil
}

// records returns the policies for the file, given the streams that have media, drops those that are no longer needed, and
// reports whether the file has to change.
func (l *policies) records(now time.Time, recorded []string) (records map[string]policyRecord, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	records = make(map[string]policyRecord, len(l.byStream))
	for stream, p := range l.byStream {
		switch empty := !p.configured && !slices.Contains(recorded, stream); {
		case empty && p.emptySince.IsZero():
			p.emptySince, l.unsaved = now, true
		case !empty && !p.emptySince.IsZero():
			p.emptySince, l.unsaved = time.Time{}, true
		case empty && now.Sub(p.emptySince) > forgetPolicy:
			delete(l.byStream, stream)
			l.unsaved = true
			continue
		}
		l.byStream[stream] = p
		records[stream] = policyRecord{
			MaxAgeSeconds: int64(p.MaxAge / time.Second), MaxBytes: p.MaxBytes, DenyNew: p.OnFull == DenyNew,
			DeleteAfterUpload: p.DeleteAfterUpload, Local: p.Local, EmptySince: p.emptySince,
		}
	}
	changed, l.unsaved = l.unsaved, false
	return records, changed
}

// saveAgain makes the next pass save the policies again.
func (l *policies) saveAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsaved = true
}
