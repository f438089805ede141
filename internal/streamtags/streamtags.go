// Package streamtags owns what is known of the streams' tags in the cloud: the options that were read last, also before a
// restart, so that a stream is uploaded as its tags say while they cannot be read. It must not know how they are read, nor
// what follows from them.
package streamtags

import (
	"errors"
	"io/fs"
	"sync"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// file is in the state directory.
	file = "stream-tags.json"
	// maxValue bounds the value of a tag in the file, in bytes. Source: KVS API, TagStream: 256 characters.
	maxValue = 256 * 4
	// maxStreams bounds the streams in the file, those that are no longer configured included.
	maxStreams = 4096
)

// Memory is what is known of the streams' tags. Safe for concurrent use.
type Memory struct {
	dir statefile.Dir
	log *zap.Logger

	changing sync.Mutex // held while the file is written, so that what is known can be read meanwhile
	behind   bool       // the file lacks a change; guarded by changing

	mu    sync.Mutex
	known map[string]desired.Tags // by stream; guarded by mu
}

// Open returns what an earlier start has learned. What cannot be read is not known. log may be nil.
func Open(dir statefile.Dir, log *zap.Logger) *Memory {
	if log == nil {
		log = zap.NewNop()
	}
	m := &Memory{dir: dir, log: log, known: make(map[string]desired.Tags)}
	var document map[string]map[string]string
	if err := dir.ReadOnly(file, &document); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Debug("tags of the streams unreadable", zap.Error(err))
		}
		return m
	}
	for stream, tags := range document {
		if kvslimit.IsStreamName(stream) && bounded(tags) && len(m.known) < maxStreams {
			m.known[stream] = desired.TagsOf(tags)
		}
	}
	return m
}

func bounded(tags map[string]string) bool {
	for _, value := range tags {
		if len(value) > maxValue {
			return false
		}
	}
	return true
}

// Of returns the tags of a stream as they were read last; known is false when they never were. A nil Memory knows none.
func (m *Memory) Of(stream string) (tags desired.Tags, known bool) {
	if m == nil {
		return desired.Tags{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tags, known = m.known[stream]
	return tags, known
}

// Read records the tags of a stream as the cloud has them now.
func (m *Memory) Read(stream string, tags desired.Tags) {
	m.changing.Lock()
	defer m.changing.Unlock()
	if before, known := m.Of(stream); known && before == tags && !m.behind && !m.dir.Missing(file) {
		return
	}
	m.mu.Lock()
	for other := range m.known {
		if len(m.known) < maxStreams {
			break
		}
		delete(m.known, other) // any: its tags are read again when its upload starts
	}
	m.known[stream] = tags
	m.mu.Unlock()
	m.save()
}

// Forget drops the tags of a stream that is no longer configured. A nil Memory has none.
func (m *Memory) Forget(stream string) {
	if m == nil {
		return
	}
	m.changing.Lock()
	defer m.changing.Unlock()
	if _, known := m.Of(stream); !known {
		return
	}
	m.mu.Lock()
	delete(m.known, stream)
	m.mu.Unlock()
	m.save()
}

// save writes the file; what fails is written with the next change, or when tags are read again. Call with changing held.
func (m *Memory) save() {
	m.mu.Lock()
	document := make(map[string]map[string]string, len(m.known))
	for stream, tags := range m.known {
		document[stream] = tags.Map()
	}
	m.mu.Unlock()
	err := m.dir.Write(file, document)
	if m.behind = err != nil; m.behind {
		m.log.Debug("tags of the streams not saved", zap.Error(err))
	}
}
