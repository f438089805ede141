package iotconfig

import (
	"encoding/json"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// lastGoodFile holds the desired set, so that a hub that boots offline records at once.
const lastGoodFile = "config.json"

// lastGoodVersion is that of the format.
const lastGoodVersion = 1

// lastGood is the document.
type lastGood struct {
	Version int                   `json:"Version"`
	Streams []lastGoodStream      `json:"Streams"`
	Gone    map[string]goneStream `json:"Gone,omitempty"`
}

type lastGoodStream struct {
	StreamName  string          `json:"StreamName"`
	StreamARN   string          `json:"StreamARN,omitempty"`
	LastUpdated time.Time       `json:"LastUpdated"`
	Listed      bool            `json:"Listed,omitempty"`
	Removing    bool            `json:"Removing,omitempty"`
	ByAbsence   bool            `json:"ByAbsence,omitempty"`
	EdgeConfig  json.RawMessage `json:"EdgeConfig,omitempty"`
}

type goneStream struct {
	At        time.Time `json:"At"`
	ByAbsence bool      `json:"ByAbsence,omitempty"`
	Noted     time.Time `json:"Noted"`
}

// forgetAfter is how long a deletion is remembered: longer than AWS IoT keeps messages for a
// persistent session (at most 7 days).
const forgetAfter = 14 * 24 * time.Hour

func (d *desired) document(now time.Time) (lastGood, error) {
	doc := lastGood{Version: lastGoodVersion, Gone: make(map[string]goneStream)}
	add := func(e *entry) error {
		s := lastGoodStream{
			StreamName: e.StreamName, StreamARN: e.StreamARN, LastUpdated: e.LastUpdated,
			Listed: e.listed, Removing: e.removing, ByAbsence: e.byAbsence,
		}
		if e.Config.HubDeviceArn != "" { // a deletion that came without a configuration has none
			var err error
			if s.EdgeConfig, err = json.Marshal(e.Config); err != nil {
				return err
			}
		}
		doc.Streams = append(doc.Streams, s)
		return nil
	}
	for _, name := range sortedNames(d.streams) {
		if err := add(d.streams[name]); err != nil {
			return lastGood{}, err
		}
	}
	for name, g := range d.gone {
		if age := now.Sub(g.noted); age < forgetAfter {
			doc.Gone[name] = goneStream{At: g.at, ByAbsence: g.byAbsence, Noted: g.noted}
		}
	}
	return doc, nil
}

// restore fills d. Members that are not valid (any more) are left out and named; belongs says
// whether a HubDeviceArn is this hub's.
func (d *desired) restore(doc lastGood, check func(edgeconfig.EdgeConfig) error, belongs func(string) bool) (leftOut []string) {
	if doc.Version != lastGoodVersion {
		return []string{"all: the file is of another version"}
	}
	for _, s := range doc.Streams {
		if !streamPattern.MatchString(s.StreamName) {
			leftOut = append(leftOut, "one without a name")
			continue
		}
		e := &entry{
			StreamConfig: StreamConfig{StreamName: s.StreamName, StreamARN: s.StreamARN, LastUpdated: s.LastUpdated},
			listed:       s.Listed, removing: s.Removing, byAbsence: s.ByAbsence,
		}
		if len(s.EdgeConfig) > 0 {
			config, err := edgeconfig.Parse(s.EdgeConfig)
			if err == nil {
				err = check(config)
			}
			if err != nil && !s.Removing {
				leftOut = append(leftOut, s.StreamName+": "+err.Error())
				continue
			}
			if !belongs(config.HubDeviceArn) {
				leftOut = append(leftOut, s.StreamName+": it is for "+config.HubDeviceArn)
				continue
			}
			e.Config = config
		} else if !s.Removing {
			leftOut = append(leftOut, s.StreamName+": it has no EdgeConfig")
			continue
		}
		d.streams[s.StreamName] = e
	}
	for name, g := range doc.Gone {
		d.gone[name] = tombstone{at: g.At, byAbsence: g.ByAbsence, noted: g.Noted}
	}
	return leftOut
}
