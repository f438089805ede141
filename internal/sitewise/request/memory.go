package request

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// file has which values were followed, and which uploads are open, so that a restart does each once.
	file        = "sitewise-requests.json"
	fileVersion = 1
	// freshFor is how old a value may be that is found when nothing is known of a camera: what was requested before that was
	// requested of something else, such as the edge connector.
	freshFor = 5 * time.Minute
	// maxKnown is how many values of a camera are remembered: more than one reading has.
	maxKnown = 2 * mostRead
	// maxAssets bounds the cameras in the file, those that are gone included.
	maxAssets = 4000
)

// memory is what was followed. It is for one goroutine.
type memory struct {
	assets  map[string]*known
	open    []arrival
	streams map[arrival]string // of open
	behind  bool               // the file lacks a change
	failed  bool               // the last write failed
}

// known are the values of a camera that were followed.
type known struct {
	Met    time.Time `json:"Met"` // when the camera was seen first
	Newest time.Time `json:"Newest"`
	Values []value   `json:"Values,omitempty"` // the newest last
}

type value struct {
	Time time.Time `json:"Time"`
	Text string    `json:"Text"`
}

type document struct {
	Version int               `json:"Version"`
	Assets  map[string]*known `json:"Assets"`
	Open    []openDocument    `json:"Open,omitempty"`
}

type openDocument struct {
	Asset  string    `json:"Asset"`
	Stream string    `json:"Stream"`
	Time   time.Time `json:"Time"`
	Text   string    `json:"Text"`
}

func (m *memory) load(dir statefile.Dir, log *zap.Logger) {
	m.assets, m.streams = make(map[string]*known), make(map[arrival]string)
	var doc document
	if err := dir.Read(file, &doc); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			logevent.SiteWiseRequestsLost.Log(log, zap.Error(err))
		}
		return
	}
	if doc.Version != fileVersion {
		return
	}
	for asset, k := range doc.Assets {
		if k != nil && len(m.assets) < maxAssets {
			m.assets[asset] = k
		}
	}
	for _, o := range doc.Open {
		if len(m.open) < maxOpen {
			m.begin(arrival{Asset: o.Asset, Time: o.Time.UTC(), Text: o.Text}, o.Stream)
		}
	}
	m.behind = false
}

func (m *memory) save(dir statefile.Dir, log *zap.Logger) {
	if !m.behind && !(len(m.assets) > 0 && dir.Missing(file)) {
		return
	}
	doc := document{Version: fileVersion, Assets: m.assets}
	for _, a := range m.open {
		doc.Open = append(doc.Open, openDocument{a.Asset, m.streams[a], a.Time, a.Text})
	}
	err := dir.Write(file, doc)
	if err != nil && !m.failed {
		logevent.UploadRequestsNotSaved.Log(log, zap.Error(err))
	}
	m.behind, m.failed = err != nil, err != nil
}

func (m *memory) knows(asset string) bool { return m.assets[asset] != nil }

// meet notes that a camera is known from now on.
func (m *memory) meet(asset string, now time.Time) {
	if m.assets[asset] != nil {
		return
	}
	if len(m.assets) >= maxAssets {
		oldest := ""
		for id, k := range m.assets {
			if oldest == "" || k.Met.Before(m.assets[oldest].Met) {
				oldest = id
			}
		}
		delete(m.assets, oldest)
	}
	m.assets[asset] = &known{Met: now.UTC()}
	m.behind = true
}

// since is the time after which values may be new.
func (m *memory) since(asset string, now time.Time) time.Time {
	k := m.assets[asset]
	if k == nil {
		return now.Add(-freshFor)
	}
	if k.Newest.IsZero() {
		return k.Met.Add(-freshFor)
	}
	return k.Newest
}

// isNew reports whether a value was not followed yet.
func (m *memory) isNew(a arrival, now time.Time) bool {
	k := m.assets[a.Asset]
	if k == nil || k.Newest.IsZero() { // none was followed yet
		return a.Time.After(m.since(a.Asset, now))
	}
	if slices.ContainsFunc(k.Values, func(v value) bool { return v.Time.Equal(a.Time) && v.Text == a.Text }) {
		return false
	}
	// One that is older than those that are remembered was followed, and forgotten.
	return !a.Time.Before(k.Newest.Add(-overlap)) && (len(k.Values) < maxKnown || a.Time.After(k.Values[0].Time))
}

// note remembers a value.
func (m *memory) note(a arrival) {
	k := m.assets[a.Asset]
	if k == nil {
		m.meet(a.Asset, a.Time)
		k = m.assets[a.Asset]
	}
	k.Values = append(k.Values, value{a.Time, a.Text})
	if len(k.Values) > maxKnown {
		k.Values = slices.Delete(k.Values, 0, len(k.Values)-maxKnown)
	}
	if a.Time.After(k.Newest) {
		k.Newest = a.Time
	}
	// Those are no longer asked about.
	k.Values = slices.DeleteFunc(k.Values, func(v value) bool { return v.Time.Before(k.Newest.Add(-2 * overlap)) })
	m.behind = true
}

func (m *memory) begin(a arrival, stream string) {
	m.open = append(m.open, a)
	m.streams[a] = stream
	m.behind = true
}

func (m *memory) end(a arrival) {
	m.open = slices.DeleteFunc(m.open, func(other arrival) bool { return other == a })
	delete(m.streams, a)
	m.behind = true
}
