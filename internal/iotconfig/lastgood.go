package iotconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
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
	StreamName  string    `json:"StreamName"`
	StreamARN   string    `json:"StreamARN,omitempty"`
	LastUpdated time.Time `json:"LastUpdated"`
	Removing    bool      `json:"Removing,omitempty"`
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

func (d *desired) document(now time.Time) (lastGood, error) {
	doc := lastGood{Version: lastGoodVersion, Gone: make(map[string]goneStream)}
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
	}
	if e.Config.HubDeviceArn != "" { // a deletion that came without a configuration has none
		s.EdgeConfig, err = json.Marshal(e.Config)
	}
	return s, err
}

// restore fills d. Members that are not valid (any more) are left out and named; belongs says
// whether a HubDeviceArn is this hub's.
func (d *desired) restore(doc lastGood, now time.Time, check func(edgeconfig.EdgeConfig) error, belongs func(string) bool) (leftOut []string) {
	if doc.Version != lastGoodVersion {
		return []string{"all: the file is of another version"}
	}
	for _, s := range doc.Streams {
		if s.Removing && s.ByAbsence && isStreamName(s.StreamName) {
			d.gone[s.StreamName] = tombstone{at: s.LastUpdated, byAbsence: true, noted: now}
			continue
		}
		e, err := s.entry(check, belongs)
		if err != nil {
			leftOut = append(leftOut, err.Error())
			continue
		}
		d.streams[s.StreamName] = e
	}
	for name, g := range doc.Gone {
		d.gone[name] = tombstone{at: g.At, byAbsence: g.ByAbsence, noted: g.Noted}
	}
	return leftOut
}

// entry is what document was made of. The error names the stream.
func (s lastGoodStream) entry(check func(edgeconfig.EdgeConfig) error, belongs func(string) bool) (*entry, error) {
	if !isStreamName(s.StreamName) {
		return nil, errors.New("one without a name")
	}
	e := &entry{
		StreamConfig: StreamConfig{StreamName: s.StreamName, StreamARN: s.StreamARN, LastUpdated: s.LastUpdated}, removing: s.Removing,
	}
	if len(s.EdgeConfig) == 0 {
		if !s.Removing {
			return nil, fmt.Errorf("%s: it has no EdgeConfig", s.StreamName)
		}
		return e, nil
	}
	config, err := edgeconfig.Parse(s.EdgeConfig)
	if err == nil {
		err = check(config)
	}
	if err != nil && !s.Removing {
		return nil, fmt.Errorf("%s: %w", s.StreamName, err)
	}
	if !belongs(config.HubDeviceArn) {
		return nil, fmt.Errorf("%s: it is for %s", s.StreamName, config.HubDeviceArn)
	}
	e.Config = config
	return e, nil
}

// LastGood returns the last good configurations that an agent keeps in its state directory, as JSON for people. It
// changes nothing. Cameras' URLs are not in it, only the ARNs of their secrets.
func LastGood(dir string) ([]byte, error) {
	var doc lastGood
	if err := (stateDir{path: dir, files: atomicfile.OS{}}).look(lastGoodFile, &doc); err != nil {
		return nil, err
	}
	return json.MarshalIndent(doc.Streams, "", "  ")
}

// loadLastGood fills the desired set from the disk.
func (s *Source) loadLastGood() {
	var doc lastGood
	switch err := s.dir.read(lastGoodFile, &doc); {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil && !errors.Is(err, errCorrupt):
		s.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good configuration cannot be read: give it to the agent's user, or check the disk; the hub records again once the cloud has answered.", filepath.Join(s.dir.path, lastGoodFile)))
		return
	case err != nil:
		s.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good configuration was damaged and is set aside as %s; the hub records again once the cloud has answered.", lastGoodFile, lastGoodFile+corruptSuffix))
		return
	}
	s.kept = true
	if leftOut := s.desired.restore(doc, s.o.Now(), s.o.Check, s.belongs); len(leftOut) > 0 {
		s.raise(scopeState, health.Degraded, health.SystemFault(codeState, nil,
			"Some configurations kept on disk cannot be used: %s.", shorten(strings.Join(leftOut, "; "))))
	}
	s.known = doc.Version == lastGoodVersion
	for _, c := range s.desired.configs() {
		if s.hub == "" {
			s.hub = c.Config.HubDeviceArn
		}
	}
}
