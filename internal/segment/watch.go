package segment

import "slices"

// Changes returns a channel that receives after a fragment of the stream was completed, or a
// segment sealed or deleted (changes in quick succession may arrive as one), and a function that
// ends the watch.
func (s *Store) Changes(stream string) (changes <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stream(stream)
	st.watchers = append(st.watchers, ch)
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(st.watchers, ch); i >= 0 {
			st.watchers = slices.Delete(st.watchers, i, i+1)
		}
	}
}

// changed tells the watchers. Call with mu held.
func (st *stream) changed() {
	for _, ch := range st.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
