package segment

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// SetLimit limits a stream. A limit that is lowered below what there is holds once enough is deleted.
func (s *Store) SetLimit(stream string, l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).SetLimit(l)
}

// Pause makes Create refuse the stream with why, until Resume.
func (s *Store) Pause(stream string, why *health.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).Paused = why
}

// Resume ends a pause.
func (s *Store) Resume(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).Paused = nil
}
