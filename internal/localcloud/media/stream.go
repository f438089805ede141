package media

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// streamState is everything the service keeps of one stream.
type streamState struct {
	service  *Service
	name     string
	fragPace *pace
	bytePace *pace
	puts     callRate
	gets     callRate
	takeover sync.Mutex // held while one session replaces another

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced whenever something below changes
	fragments []Fragment
	frames    int // of all fragments
	session   *session
	readers   map[*reader]struct{} // GetMedia connections
	stats     Stats
	current   *mediaFile // what is appended to; nil until the first session
}

// mediaFile is the Matroska file that a stream's fragments are appended to. Its methods are called
// by the stream's one session only; end is read by others under the stream's mutex.
type mediaFile struct {
	name   string
	f      *os.File
	header *strictmkv.Header
	end    int64  // of the last stored fragment; what lies behind it is not committed
	spare  []byte // buffer of the fragment before, for the next one
}

func newStreamState(s *Service, name string) *streamState {
	return &streamState{
		service: s, name: name, changed: make(chan struct{}), readers: map[*reader]struct{}{},
		fragPace: newPace(s.o.Limits.FragmentsPerSecond, s.o.Limits.FragmentsPerSecond),
		bytePace: newPace(s.o.Limits.BytesPerSecond, s.o.Limits.BytesPerSecond/4),
		puts:     callRate{n: s.o.Limits.PutMediaPerSecond},
		gets:     callRate{n: s.o.Limits.GetMediaPerSecond},
	}
}

// add takes a stored fragment into the list. The stream's mutex is held, or nobody knows the stream yet.
func (st *streamState) add(f Fragment) {
	st.fragments = append(st.fragments, f)
	st.frames += f.Frames
	if len(f.Tags) > 0 {
		st.stats.Tagged++
	}
}

// update changes the state and wakes those who wait for it.
func (st *streamState) update(change func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	change()
	close(st.changed)
	st.changed = make(chan struct{})
}

func (st *streamState) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.current == nil {
		return nil
	}
	return st.current.f.Close()
}

// cut resets the stream's open connections.
func (st *streamState) cut() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.session != nil {
		st.session.cancel(errCut)
	}
	for r := range st.readers {
		r.cancel(errCut)
	}
}

// takeOver makes next the stream's one session, after the one before it has ended.
func (st *streamState) takeOver(next *session) {
	st.takeover.Lock()
	defer st.takeover.Unlock()
	st.mu.Lock()
	old := st.session
	if old != nil {
		st.stats.Displaced++
	}
	st.mu.Unlock()
	if old != nil {
		old.cancel(errDisplaced)
		<-old.done
	}
	st.update(func() {
		st.session = next
		st.stats.Sessions++
	})
}

// release is the end of a session.
func (st *streamState) release(old *session) {
	st.update(func() {
		if st.session == old {
			st.session = nil
		}
	})
	close(old.done)
}

// fileFor returns the file that fragments with that header are appended to.
func (st *streamState) fileFor(h *strictmkv.Header) (*mediaFile, error) {
	if st.current == nil {
		if err := st.reopen(); err != nil {
			return nil, err
		}
	}
	if st.current != nil && st.current.header.SameMedia(h) {
		return st.current, nil
	}
	next, err := st.service.createFile(st.name, h)
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.current != nil {
		if err := st.current.f.Close(); err != nil {
			return nil, err
		}
	}
	st.current = next
	return next, nil
}

// reopen goes on with the file that an earlier run wrote last, and cuts off what it did not commit.
func (st *streamState) reopen() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.fragments) == 0 {
		return nil
	}
	last := st.fragments[len(st.fragments)-1]
	path := filepath.Join(st.service.o.Dir, last.File)
	f, err := os.OpenFile(path, os.O_RDWR, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		return nil // taken away by the user; a further file begins
	}
	if err != nil {
		return err
	}
	header, err := readHeader(f)
	end := last.Offset + last.Bytes
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot go on with %s: %w", path, err)
	}
	st.current = &mediaFile{name: last.File, f: f, header: header, end: end}
	return nil
}

func readHeader(src io.Reader) (*strictmkv.Header, error) {
	r := strictmkv.NewReader(src, strictmkv.Options{AsStored: true, MaxTracks: 127})
	for {
		event, err := r.Next()
		if err != nil {
			return nil, err
		}
		if event.Kind == strictmkv.KindHeader {
			return r.Header(), nil
		}
	}
}

// maxBaseName keeps file names within the 255 bytes of file systems; stream names may have 256.
const maxBaseName = 200

// createFile makes <stream>.mkv, or <stream>-2.mkv and so on when that name is taken.
func (s *Service) createFile(stream string, h *strictmkv.Header) (*mediaFile, error) {
	base := stream
	if len(base) > maxBaseName {
		base = base[:maxBaseName]
	}
	for n := 1; ; n++ {
		name := base + ".mkv"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.mkv", base, n)
		}
		s.mu.Lock()
		_, taken := s.files[name]
		if !taken {
			s.files[name] = stream
		}
		s.mu.Unlock()
		if taken {
			continue
		}
		f, err := os.OpenFile(filepath.Join(s.o.Dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		head := appendHeader(nil, stream, h)
		if _, err := f.Write(head); err != nil {
			f.Close()
			return nil, err
		}
		return &mediaFile{name: name, f: f, header: copyHeader(h), end: int64(len(head))}, nil
	}
}

func copyHeader(h *strictmkv.Header) *strictmkv.Header {
	c := *h
	return &c
}

// validName reports whether the name is one that CreateStream allows.
func validName(name string) bool {
	if name == "" || len(name) > 256 {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
	})
}

// wait lets d pass, or less when the session ends.
func wait(done <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
