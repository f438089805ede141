package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// errDangling means that a symbolic link leads to nothing.
var errDangling = errors.New("a symbolic link leads to nothing")

// unreadOf says why a stream's recordings could not be read; nil when they were. Call with mu held.
func (s *Store) unreadOf(stream string) error {
	for _, name := range layout.DirectoriesOf(stream) {
		if err := s.unread[name]; err != nil {
			return err
		}
	}
	return nil
}

// place sees to it that the stream has a directory with its marker, durably. Where that is, is decided once:
// at the start by what is there, else here.
func (s *Store) place(st *stream) error {
	s.mu.Lock()
	placed := st.device != 0
	s.mu.Unlock()
	if placed {
		return s.restorePlace(st)
	}
	defer s.claimName(st.name)() // where names are the same but for their case, one stream finds the other's marker
	dir, marked, err := s.choose(st.name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	st.dir = dir
	s.mu.Unlock()
	if !marked {
		err = s.makeDirectory(st)
	}
	if err == nil {
		s.settle(st)
	}
	return err
}

// restorePlace makes a directory again that somebody removed, unless it is its disk that is gone.
func (s *Store) restorePlace(st *stream) error {
	marker := filepath.Join(st.dir, layout.StreamFileName)
	info, err := s.files.Stat(marker)
	if err == nil && info.IsDir() {
		return health.UserFault(CodeDisk, nil,
			"%s is the agent's file by which it knows the directory of stream %s, but something else is in its place: move that away.",
			marker, st.name)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	if err := s.placePresent(st); err != nil {
		return err
	}
	if err := s.makeDirectory(st); err != nil {
		return err
	}
	s.mu.Lock() // the side files may be gone as well: Run writes them again
	st.gaps.kept, st.gaps.owed = false, st.gaps.owed || len(st.gaps.of) > 0
	st.untimed = len(st.catalog.Clock) > 0
	s.mu.Unlock()
	s.log.Warn("somebody deleted the directory of a stream, or its marker: it is made again",
		zap.String("stream", st.name), zap.String("directory", st.dir))
	return nil
}

// streamPresent is present, also for the disk that a stream has for itself.
func (s *Store) streamPresent(st *stream) error {
	if err := s.present(); err != nil {
		return err
	}
	return s.placePresent(st)
}

// placePresent fails when the disk that the stream's directory was on is not there.
func (s *Store) placePresent(st *stream) error {
	s.mu.Lock()
	dir, before := st.dir, st.device
	s.mu.Unlock()
	if before == 0 {
		return nil
	}
	if err := s.dangling(dir); err != nil {
		return err
	}
	if nearestDevice(dir) != before {
		return health.SystemFault(CodeDisk, ErrDiskGone,
			"The disk of %s, where stream %s is recorded, is not mounted: mount it again; recording goes on by itself then.", dir, st.name)
	}
	return nil
}

// claimName waits for other streams whose names differ in their case only, until release.
func (s *Store) claimName(stream string) (release func()) {
	key, mine := strings.ToLower(stream), make(chan struct{})
	for {
		s.mu.Lock()
		other := s.placing[key]
		if other == nil {
			s.placing[key] = mine
		}
		s.mu.Unlock()
		if other == nil {
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.placing, key)
				close(mine)
			}
		}
		<-other
	}
}

// settle notes on which disk the stream's directory lies.
func (s *Store) settle(st *stream) {
	now, shared := device(st.dir), sharesSpace(s.dir, st.dir)
	s.mu.Lock()
	st.device, st.shared = now, shared
	s.mu.Unlock()
}

// choose gives the first of a stream's directories that nothing else has. marked says that it is the stream's
// already.
func (s *Store) choose(stream string) (dir string, marked bool, err error) {
	for _, name := range layout.DirectoriesOf(stream) {
		dir = filepath.Join(s.dir, name)
		info, err := s.files.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if err := s.dangling(dir); err != nil {
				return dir, false, err
			}
		} else if err != nil {
			return dir, false, err
		}
		if s.isReserved(dir, info) {
			continue
		}
		if info == nil {
			return dir, false, nil
		}
		if !info.IsDir() {
			return dir, false, &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		switch mark, err := layout.ReadStreamFile(s.files, dir); {
		case errors.As(err, new(*fs.PathError)) && !errors.Is(err, fs.ErrNotExist):
			return dir, false, err
		case err != nil: // nobody's yet, or torn
			return dir, false, nil
		case mark.Stream == stream:
			return dir, true, nil
		}
	}
	return dir, false, health.UserFault(CodeDisk, nil,
		"Stream %s cannot be recorded, as something else has the directory %s: move that away.", stream, dir)
}

// sameFile reports whether two paths lead to the same.
func (s *Store) sameFile(a, b string) bool {
	first, err := s.files.Stat(a)
	if err != nil {
		return false
	}
	second, err := s.files.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// unreadAdvice says what to do about recordings that cannot be read.
func unreadAdvice(causes []error) string {
	var advice []string
	general := "check the disk, and the rights of the agent's user"
	for _, cause := range causes {
		say := general
		if errors.Is(cause, errDangling) {
			say = strings.TrimSuffix(strings.TrimPrefix(health.FaultOf(cause, CodeDisk).Text, "The disk"), ".")
			say = "the disk" + say
		}
		advice = append(advice, say)
	}
	slices.Sort(advice)
	return strings.Join(slices.Compact(advice), "; ")
}

// isReserved reports whether a path is one of Options.Reserved, or the recording directory, also under another
// name. info is nil when there is nothing.
func (s *Store) isReserved(dir string, info fs.FileInfo) bool {
	for _, path := range append([]string{s.dir}, s.reserved...) {
		if absolute(path) == absolute(dir) {
			return true
		}
		if other, err := s.files.Stat(path); info != nil && err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// dangling says so when a path is a symbolic link that leads to nothing.
func (s *Store) dangling(dir string) error {
	target, err := os.Readlink(dir)
	if err != nil {
		return nil // it is none
	}
	if _, err := s.files.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return health.SystemFault(CodeDisk, errors.Join(ErrDiskGone, errDangling),
		"The disk of %s is not mounted: it is a link to %s, which is not there; mount that disk, or remove the link.", dir, target)
}

// SameDisk reports whether a stream is recorded to the disk of the recording directory, so that deleting of its
// media frees space there. Its directory may be a link to another disk, or another one may be mounted on it.
func (s *Store) SameDisk(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	return st == nil || s.onDisk(st)
}

// onDisk is SameDisk. Call with mu held.
func (s *Store) onDisk(st *stream) bool {
	return st.device == 0 || st.device == s.device || st.shared
}

// makeDirectory makes the stream's directory with its marker, durably.
func (s *Store) makeDirectory(st *stream) error {
	made := !s.exists(st.dir)
	if err := st.files.MkdirAll(st.dir, layout.DirectoryMode); err != nil {
		return err
	}
	// The directory first: a marker whose directory is lost says nothing. What is not durable is made
	// again as a whole.
	if err := st.files.SyncDir(filepath.Dir(st.dir)); err != nil {
		if made {
			_ = st.files.Remove(st.dir)
		}
		return err
	}
	s.mu.Lock()
	epoch, highest := st.catalog.Epoch, st.catalog.Newest()
	s.mu.Unlock()
	if err := layout.WriteStreamFile(st.files, st.dir, st.name, epoch, highest); err != nil {
		_ = st.files.Remove(filepath.Join(st.dir, layout.StreamFileName))
		return err
	}
	return nil
}
