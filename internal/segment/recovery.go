package segment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// maxEmpty is the size up to which a file without a frame is what a camera sent in its first
// seconds and a power cut took. Somebody may find something in a larger one.
const maxEmpty = 4 << 20

// codeUnread is raised while the recordings of a stream cannot be read.
const codeUnread = "recordings-unreadable"

// scopeUnread is reading the directories of all streams.
const scopeUnread health.Scope = "unread"

// load indexes the directory and repairs what a crash left.
func (s *Store) load() error {
	directories, err := s.files.ReadDir(s.dir)
	if err != nil {
		return diskFault(s.dir, err)
	}
	for _, d := range directories {
		if !d.IsDir() && d.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if err := s.loadStream(d.Name()); err != nil {
			if s.readOnly { // a command tells it at once
				if errors.Is(err, errDangling) {
					continue // the agent does; the others can be read
				}
				return err
			}
			s.unread[d.Name()] = err
		}
	}
	s.reportUnread()
	return nil
}

// loadUnread tries the directories again that could not be read.
func (s *Store) loadUnread() {
	s.mu.Lock()
	names := slices.Collect(maps.Keys(s.unread))
	s.mu.Unlock()
	if len(names) == 0 || s.present() != nil {
		return
	}
	for _, name := range names {
		err := s.loadStream(name)
		s.mu.Lock()
		if s.unread[name] = err; err == nil {
			delete(s.unread, name)
		}
		s.mu.Unlock()
	}
	s.reportUnread()
}

// reportUnread says which directories cannot be read.
func (s *Store) reportUnread() {
	s.mu.Lock()
	names := slices.Sorted(maps.Keys(s.unread))
	all := slices.Collect(maps.Values(s.unread))
	s.mu.Unlock()
	causes := errors.Join(all...)
	if len(names) == 0 {
		if s.health.OK(scopeUnread) {
			s.log.Info("all recordings can be read again")
		}
		return
	}
	fault := health.SystemFault(codeUnread, causes,
		"The recordings in %s of %s cannot be read, so these streams are neither recorded nor uploaded until they can, which is tried again and again: %s.",
		strings.Join(names, ", "), s.dir, unreadAdvice(all))
	if s.health.Report(scopeUnread, health.Failed, fault) {
		s.log.Error("recordings cannot be read", zap.Error(fault), zap.NamedError("cause", causes))
	}
}

// loadStream indexes one directory, if it is a stream's. When it fails nothing of it is listed.
func (s *Store) loadStream(name string) error {
	dir := filepath.Join(s.dir, name)
	files, err := s.files.ReadDir(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil // a link to a file
	case errors.Is(err, fs.ErrNotExist):
		return cmp.Or(s.dangling(dir), s.present()) // removed meanwhile, or its disk is
	case err != nil:
		return diskFault(dir, err)
	}
	mark, ok, err := s.ownerOf(dir, files)
	if err != nil || !ok {
		return err
	}
	if other := s.doubled(mark.Stream, dir); other != "" {
		s.reportDouble(mark.Stream, dir, other)
		return nil
	}
	st := s.newStream(mark.Stream)
	st.dir, st.device, st.shared = dir, device(dir), sharesSpace(s.dir, dir)
	st.catalog.Clock = layout.ReadClock(s.files, dir)
	st.catalog.SeeEpoch(mark.Epoch)
	if mark.LastEnd != nil {
		st.catalog.Highest, st.catalog.Marked = *mark.LastEnd, *mark.LastEnd
	}
	for _, n := range st.catalog.Clock {
		if n.Begin != 0 {
			st.catalog.SeeEpoch(n.Epoch)
		}
	}
	torn, sideFiles, err := s.loadNames(st, files)
	if err != nil {
		return err
	}
	s.loadGaps(st, torn)
	for _, k := range torn {
		if err := s.loadTorn(st, k); err != nil {
			return err
		}
	}
	for _, k := range sideFiles {
		s.loadSideFile(st, k)
	}
	st.catalog.SetClock(st.catalog.Clock)
	s.loadAside(st)
	s.adopt(st)
	return nil
}

// ownerOf gives the marker of the stream that a directory is of; ok is false when it is of none.
func (s *Store) ownerOf(dir string, files []fs.DirEntry) (mark layout.StreamFile, ok bool, err error) {
	name := filepath.Base(dir)
	mark, err = layout.ReadStreamFile(s.files, dir)
	var system *fs.PathError
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) {
		return mark, false, diskFault(dir, err)
	}
	if err == nil && layout.IsDirectoryOf(name, mark.Stream) {
		return mark, true, nil
	}
	if err == nil && s.sameAsOwn(dir, mark.Stream) {
		return mark, false, nil // another name of that stream's directory
	}
	// A marker that is missing or torn: segments still make it a stream's, if its name can be one.
	return layout.StreamFile{Stream: name}, layout.DirectoryOf(name) == name && holdsSegments(files), nil
}

// loadNames indexes what the names of files tell, and gives the segments that were being written
// and those with a side file. Garbage is removed.
func (s *Store) loadNames(st *stream, files []fs.DirEntry) (torn, sideFiles []layout.ID, err error) {
	for _, f := range files {
		p, ok := layout.ParseName(strings.TrimSuffix(f.Name(), atomicfile.BesideSuffix))
		if !ok {
			continue
		}
		if strings.HasSuffix(f.Name(), atomicfile.BesideSuffix) {
			if !s.readOnly {
				_ = s.files.Remove(filepath.Join(st.dir, f.Name())) // was to take the place of another one
			}
			continue
		}
		st.catalog.SeeEpoch(p.Epoch)
		switch p.Suffix {
		case layout.ProgressSuffix:
			sideFiles = append(sideFiles, p.ID)
		case layout.GarbageSuffix:
			if !s.readOnly {
				_ = s.files.Remove(filepath.Join(st.dir, f.Name())) // tried again at the next start
			}
		case layout.DoubtSuffix:
			st.doubted[p.ID] = rewriting{}
		case layout.WritingSuffix:
			torn = append(torn, p.ID)
		default:
			info, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted by the agent beside which we read
			}
			if err != nil {
				return nil, nil, diskFault(st.dir, err)
			}
			e := catalog.Entry{ID: p.ID, Bytes: info.Size(), Length: uint32(p.Length), State: p.State, Refused: p.Refused}
			if err := s.loadFinished(st, e); err != nil {
				return nil, nil, err
			}
		}
	}
	for k := range st.doubted {
		if !s.readOnly && !slices.Contains(torn, k) {
			s.noDoubt(st, k) // it was given up, or written again
		}
	}
	return torn, sideFiles, nil
}

// loadFinished indexes a finished segment. Of two files of one segment, as a backup that was put back leaves them,
// the longer one is it, or else the one that is further on its way; the other is set aside.
func (s *Store) loadFinished(st *stream, e catalog.Entry) error {
	i, twice := st.catalog.Find(e.ID)
	if !twice {
		st.catalog.Insert(e)
		return nil
	}
	other := st.catalog.Entries[i]
	if cmp.Or(cmp.Compare(e.Length, other.Length), cmp.Compare(e.Kind(), other.Kind())) > 0 {
		st.catalog.Replace(i, e)
		other, e = e, other
	}
	return s.setAside(st, e.Name(), fmt.Errorf("%s is the same segment", other.Name()))
}

// adopt takes in what was loaded of a stream. Somebody may watch it, or have paused it, already.
func (s *Store) adopt(loaded *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stream(loaded.name)
	st.dir, st.device, st.shared = loaded.dir, loaded.device, loaded.shared
	st.catalog, st.active, st.doubted, st.aside = loaded.catalog, loaded.active, loaded.doubted, loaded.aside
	st.refused = loaded.refused
	st.gaps = loaded.gaps
	st.changed()
}

func holdsSegments(files []fs.DirEntry) bool {
	for _, f := range files {
		if _, ok := layout.ParseName(f.Name()); ok {
			return true
		}
	}
	return false
}

// loadTorn takes in a segment that was being written when the process ended.
func (s *Store) loadTorn(st *stream, k layout.ID) error {
	if _, twice := st.catalog.Find(k); twice {
		return s.setAside(st, layout.WritingName(k), errors.New("it is there as a finished segment, too"))
	}
	if s.readOnly {
		if info, err := s.files.Stat(filepath.Join(st.dir, layout.WritingName(k))); err == nil {
			st.catalog.Insert(catalog.Entry{ID: k, Bytes: info.Size(), State: Writing})
		}
		return nil
	}
	if s.postpone(st, k) {
		return nil
	}
	e, err := s.recoverFile(st, k)
	var disk *health.Fault
	switch {
	case errors.Is(err, mkv.ErrEmpty):
	case errors.As(err, &disk), errors.Is(err, errLater):
		// A full disk, say: the others are recorded on, and Run tries again.
		st.catalog.Remember(e)
		st.catalog.Broken = append(st.catalog.Broken, k)
		s.report(err)
	case err != nil:
		return s.setAside(st, layout.WritingName(k), err)
	default:
		st.catalog.Insert(e)
		if err := st.sync(); err != nil { // after a power cut it has its old name, and is recovered again
			s.report(diskFault(st.dir, err))
		}
	}
	return nil
}

// recoverAtOnce is how many bytes of torn files are read before Open returns: recording waits for it. The
// other files are recovered by Run.
const recoverAtOnce = 64 << 20

// postpone leaves a torn file to Run when much was read already. Nothing may overlap it meanwhile.
func (s *Store) postpone(st *stream, k layout.ID) bool {
	info, err := os.Stat(filepath.Join(st.dir, layout.WritingName(k)))
	if err != nil {
		return false
	}
	if s.recovering += info.Size(); s.recovering <= recoverAtOnce {
		return false
	}
	f, err := os.Open(filepath.Join(st.dir, layout.WritingName(k)))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	m, err := mkv.Open(f, info.Size())
	if err != nil {
		return false
	}
	last, err := m.LastFrame()
	if err != nil {
		return false
	}
	st.catalog.Remember(catalog.Entry{ID: k, Length: uint32(min(last.Milliseconds(), layout.MaxLength))})
	st.catalog.Broken = append(st.catalog.Broken, k)
	return true
}

// recoverFile repairs and seals a torn file; its new name is durable after sync. It fails with
// mkv.ErrEmpty when there was nothing in it, and then the file is gone; with a *health.Fault when the
// disk fails, and then the entry says at least how far the file goes; with errLater; and else when the
// file cannot be understood.
func (s *Store) recoverFile(st *stream, k layout.ID) (catalog.Entry, error) {
	e := catalog.Entry{ID: k, State: Sealed}
	path := filepath.Join(st.dir, layout.WritingName(k))
	if err := s.rewriteDoubted(st, k); err != nil {
		return e, err
	}
	opened, err := st.files.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return e, diskFault(st.dir, err)
	}
	f := newSyncFile(opened)
	defer func() {
		_ = f.Close()
		if f.inDoubt() {
			s.doubt(st, k)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return e, diskFault(st.dir, err)
	}
	recovered, err := mkv.Recover(f, info.Size())
	for _, fragment := range recovered.Fragments {
		e.Length = max(e.Length, uint32(min(max(fragment.Last.Milliseconds(), 0), layout.MaxLength)))
	}
	e.Bytes = recovered.Size
	if errors.Is(err, mkv.ErrEmpty) {
		if info.Size() > maxEmpty {
			return e, errors.New("the file has no frame that can be read")
		}
		_ = st.files.Remove(path)
		return e, err
	}
	var system *fs.PathError
	if errors.As(err, &system) || f.inDoubt() {
		return e, diskFault(st.dir, err)
	}
	if err != nil {
		return e, err
	}
	if err := f.Sync(); err != nil {
		return e, diskFault(st.dir, err)
	}
	s.recoverGaps(st, k, f, recovered.Size)
	if err := st.rename(layout.WritingName(k), e.Name()); err != nil {
		return e, diskFault(st.dir, err)
	}
	s.tellRecovered(st, e, recovered)
	return e, nil
}

// tellRecovered logs what became of a torn file: with a warning when media in it is lost.
func (s *Store) tellRecovered(st *stream, e catalog.Entry, r mkv.Recovery) {
	frames := 0
	for _, fragment := range r.Fragments {
		frames += fragment.Frames
	}
	fields := []zap.Field{
		zap.String("stream", st.name), zap.String("segment", e.Name()),
		zap.Int("frames", frames), zap.Int64("bytesCut", r.Cut), zap.Int64("bytesDamaged", r.Damaged), zap.Int("framesDamaged", r.Lost),
	}
	if r.Damaged > 0 {
		s.log.Warn("recovered a segment that was being written when the agent ended, with damage in it that is passed over: the disk lost or changed it", fields...)
		return
	}
	s.log.Info("recovered a segment that was being written when the agent ended", fields...)
}

// loadSideFile reads which fragments of a segment are persisted. Without it they are sent again,
// so an unreadable one is no reason to stop.
func (s *Store) loadSideFile(st *stream, k layout.ID) {
	path := filepath.Join(st.dir, layout.ProgressName(k))
	switch i, ok := st.catalog.Find(k); {
	case !ok && slices.Contains(st.catalog.Broken, k): // is listed once it is recovered
	case !ok:
		if !s.readOnly {
			_ = st.files.Remove(path) // its segment is gone
		}
		return
	case st.catalog.Entries[i].Kind() == catalog.KindRefused:
		s.loadRefused(st, i)
		return
	case st.catalog.Entries[i].Kind() == catalog.KindUploaded:
		if !s.readOnly {
			_ = st.files.Remove(path)
		}
		return
	}
	p, refused, err := s.loadProgress(path)
	if err != nil {
		s.log.Warn("cannot read how far a segment was uploaded: it is sent again", zap.String("stream", st.name), zap.Error(err))
		return
	}
	st.use(k).progress = p
	for _, one := range refused {
		st.refused.add(k, one)
	}
}
