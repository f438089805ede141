package kvsconfig

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// lastGoodVersion is that of the format.
const lastGoodVersion = 1

// lastGood is the document.
type lastGood struct {
	Version int                   `json:"Version"`
	Streams []lastGoodStream      `json:"Streams"`
	Gone    map[string]goneStream `json:"Gone,omitempty"`
	// Lost are the streams with a configuration of which no version can be followed, and when that was noted.
	Lost map[string]time.Time `json:"Lost,omitempty"`
}

type lastGoodStream struct {
	StreamName  string    `json:"StreamName"`
	StreamARN   string    `json:"StreamARN,omitempty"`
	LastUpdated time.Time `json:"LastUpdated"`
	Removing    bool      `json:"Removing,omitempty"`
	// Origin is where it came from; empty, as earlier versions left it: from the control plane.
	Origin desired.Origin `json:"Origin,omitempty"`
	// Listed and ByAbsence are of earlier versions, which removed the media of a stream that the control plane no longer
	// listed. They are not written any more, so that those that come back after us do not.
	Listed     bool            `json:"Listed,omitempty"`
	ByAbsence  bool            `json:"ByAbsence,omitempty"`
	EdgeConfig json.RawMessage `json:"EdgeConfig,omitempty"`
}

type goneStream struct {
	At        time.Time `json:"At"`
	ByAbsence bool      `json:"ByAbsence,omitempty"`
	Noted     time.Time `json:"Noted"`
}

// forgetAfter is how long a deletion is remembered: longer than AWS IoT keeps messages for a
// persistent session (at most 7 days).
const forgetAfter = 14 * 24 * time.Hour

func (d *versions) document(now time.Time) (lastGood, error) {
	doc := lastGood{Version: lastGoodVersion, Gone: make(map[string]goneStream), Lost: d.lost}
	for _, name := range sortedNames(d.streams) {
		s, err := d.streams[name].document()
		if err != nil {
			return lastGood{}, err
		}
		doc.Streams = append(doc.Streams, s)
	}
	for name, g := range d.gone {
		if age := now.Sub(g.noted); age < forgetAfter {
			doc.Gone[name] = goneStream{At: g.at, ByAbsence: g.byAbsence, Noted: g.noted}
		}
	}
	return doc, nil
}

func (e *entry) document() (s lastGoodStream, err error) {
	s = lastGoodStream{
		StreamName: e.StreamName, StreamARN: e.StreamARN, LastUpdated: e.LastUpdated, Removing: e.removing,
		Origin: e.wanted.Origin,
	}
	if e.Config.HubDeviceArn != "" { // a deletion that came without a configuration has none
		s.EdgeConfig, err = json.Marshal(e.Config)
	}
	return s, err
}

// restore fills d. Members that are not valid (any more) are left out and named; belongs says
// whether a HubDeviceArn is this hub's.
func (d *versions) restore(doc lastGood, now time.Time, belongs func(string) bool) (leftOut []string) {
	if doc.Version != lastGoodVersion {
		return []string{"all: the file is of another version"}
	}
	for _, s := range doc.Streams {
		if s.Removing && s.ByAbsence && kvslimit.IsStreamName(s.StreamName) {
			d.gone[s.StreamName] = tombstone{at: s.LastUpdated, byAbsence: true, noted: now}
			continue
		}
		e, err := s.entry(belongs)
		if err != nil {
			leftOut = append(leftOut, err.Error())
			if kvslimit.IsStreamName(s.StreamName) {
				d.lost[s.StreamName] = now
			}
			continue
		}
		d.streams[s.StreamName] = e
	}
	for name, g := range doc.Gone {
		d.gone[name] = tombstone{at: g.At, byAbsence: g.ByAbsence, noted: g.Noted}
	}
	for name, noted := range doc.Lost {
		if d.streams[name] == nil && kvslimit.IsStreamName(name) {
			d.lost[name] = noted
		}
	}
	return leftOut
}

// entry is what document was made of. The error names the stream.
func (s lastGoodStream) entry(belongs func(string) bool) (*entry, error) {
	if !kvslimit.IsStreamName(s.StreamName) {
		return nil, errors.New("one without a name")
	}
	e := &entry{
		StreamConfig: edgeconfig.StreamConfig{StreamName: s.StreamName, StreamARN: s.StreamARN, LastUpdated: s.LastUpdated}, removing: s.Removing,
	}
	if len(s.EdgeConfig) == 0 {
		if !s.Removing {
			return nil, fmt.Errorf("%s: it has no EdgeConfig", s.StreamName)
		}
		return e, nil
	}
	var err error
	if e.Config, err = edgeconfig.Parse(s.EdgeConfig); err == nil {
		e.wanted, err = edgestream.Of(e.StreamConfig, cmp.Or(s.Origin, desired.KVS))
	}
	if err != nil && !s.Removing {
		return nil, fmt.Errorf("%s: %w", s.StreamName, err)
	}
	if !belongs(e.Config.HubDeviceArn) {
		return nil, fmt.Errorf("%s: it is for %s", s.StreamName, e.Config.HubDeviceArn)
	}
	return e, nil
}
