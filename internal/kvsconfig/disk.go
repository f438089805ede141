package kvsconfig

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// lastGoodFile holds the desired set, so that a hub that boots offline records at once.
const lastGoodFile = "config.json"

// disk is where the desired set is kept.
type disk struct {
	dir         statefile.Dir
	unsaved     bool // it lacks a change
	hadLastGood bool // at the start, of all streams
	present     bool // the file was read or written
}

// LastGood returns the last good configurations that an agent keeps in its state directory, as JSON for people. It
// changes nothing. Cameras' URLs are not in it, only the ARNs of their secrets.
func LastGood(dir string) ([]byte, error) {
	var doc lastGood
	if err := statefile.At(dir, atomicfile.OS{}).ReadOnly(lastGoodFile, &doc); err != nil {
		return nil, err
	}
	return json.MarshalIndent(doc.Streams, "", "  ")
}

// loadLastGood fills the desired set from the disk.
func (s *Syncer) loadLastGood() {
	var doc lastGood
	switch err := s.disk.dir.Read(lastGoodFile, &doc); {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil && !errors.Is(err, statefile.ErrCorrupt):
		s.conditions.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good configuration cannot be read: give it to the agent's user, or check the disk; the hub records again "+
				"once the cloud has answered.", filepath.Join(s.disk.dir.Path(), lastGoodFile)))
		return
	case err != nil:
		s.conditions.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good configuration was damaged and is set aside as %s; the hub records again once the cloud has "+
				"answered.", lastGoodFile, lastGoodFile+statefile.CorruptSuffix))
		return
	}
	s.disk.present = true
	if leftOut := s.versions.restore(doc, s.o.Now(), s.hub.is); len(leftOut) > 0 {
		s.conditions.raise(scopeState, health.Degraded, health.SystemFault(codeState, nil,
			"Some configurations kept on disk cannot be used: %s.", shorten(strings.Join(leftOut, "; "))))
	}
	s.disk.hadLastGood = doc.Version == lastGoodVersion
	for name := range s.versions.wanted() {
		if s.hub.get() == "" {
			s.hub.set(s.versions.streams[name].Config.HubDeviceArn)
		}
	}
}

// save keeps the desired set on disk when it changed, or when the file is gone. A failure is reported and tried again every
// saveEvery: the configurations are in force all the same.
func (s *Syncer) save() {
	if !s.disk.unsaved && !(s.disk.present && s.disk.dir.Missing(lastGoodFile)) {
		return
	}
	doc, err := s.versions.document(s.o.Now())
	if err == nil {
		err = s.disk.dir.Write(lastGoodFile, doc)
	}
	if err != nil {
		s.conditions.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The configuration cannot be kept on disk, so that the hub would not record after an offline boot: %s.",
			s.disk.dir.Advice(lastGoodFile, err)))
		return
	}
	s.disk.unsaved, s.disk.present = false, true
	s.o.Health.OK(scopeState)
}
