package segment

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// tries is how often a caller that gets an error tries again.
const tries = 3

func again(do func() error) (err error) {
	for range tries {
		if err = do(); err == nil {
			return nil
		}
	}
	return err
}

// recordDespite records and uploads two segments on a disk of which one sync fails, and notes what the store
// says is durable.
func (y *story) recordDespite() {
	y.t.Helper()
	var err error
	if err := again(func() error { y.s, err = Open(Options{Dir: y.j.root, Files: y.files()}); return err }); err != nil {
		y.t.Fatal(err)
	}
	for i := range 2 {
		y.segmentDespite(begin.Add(time.Duration(i) * time.Minute))
	}
	if err := y.s.Close(); err != nil {
		y.t.Error(err)
	}
}

func (y *story) segmentDespite(start time.Time) {
	y.t.Helper()
	var w *Writer
	err := again(func() (err error) { w, err = y.s.Create("the/door", headerAt(start)); return err })
	if err != nil {
		y.t.Fatal(err)
	}
	for i := range 4 {
		writeFragments(y.t, w, i, 1)
		_ = y.sync(w)
	}
	k := w.Key()
	path := filepath.Join(w.stream.Dir, layout.WritingName(w.key.ID()))
	data, err := os.ReadFile(path)
	if err != nil {
		y.t.Fatal(err)
	}
	list, _ := w.shown.Completed()
	if err := w.Seal(); err != nil && !errors.Is(err, syscall.EIO) {
		y.t.Errorf("sealing says %v", err)
	}
	if err := again(y.s.repairNow); err != nil {
		y.t.Errorf("a segment stays broken: %v", err)
	}
	if infos := y.s.Segments("the/door", start, time.Time{}); len(infos) != 1 || infos[0].State != Sealed {
		y.t.Fatalf("listed: %+v", infos)
	}
	for _, f := range list {
		y.fact(fact{kind: "sealed", key: k, fragment: f, data: data[f.Offset+clusterHead : f.Offset+f.Size]})
	}
	for i, f := range list {
		if err := y.s.MarkPersisted(k, f); err != nil {
			y.t.Error(err)
		}
		if err := again(y.noteDurably); err != nil {
			y.t.Error(err)
		}
		for _, f := range list[:i+1] {
			y.fact(fact{kind: "persisted", key: k, fragment: f})
		}
	}
	y.fact(fact{kind: "uploading", key: k})
	if err := again(func() error { return y.s.MarkUploaded(k) }); err != nil {
		y.t.Error(err)
	}
}

// Each sync of recording, sealing and uploading fails once, whereupon the disk has lost what was written
// since the previous one, and proves nothing about it: what the store shows as sealed, uploaded or noted is
// there after a power cut all the same.
func TestNothingIsBelievedThatAFailedSyncLost(t *testing.T) {
	t.Parallel()
	for _, way := range syncWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			nothingIsBelieved(t, way)
		})
	}
}

func nothingIsBelieved(t *testing.T, way string) {
	count := &story{t: t, j: newJournal(t.TempDir()), way: way}
	count.recordDespite()
	t.Logf("%d syncs", count.j.syncs)
	for n := 1; n <= count.j.syncs; n++ {
		t.Run(fmt.Sprintf("sync %d fails", n), func(t *testing.T) {
			t.Parallel()
			y := &story{t: t, j: newJournal(t.TempDir()), way: way}
			y.j.fails = n
			y.recordDespite()
			if t.Failed() {
				return
			}
			for at := range y.j.events {
				if at < len(y.j.events)-1 && y.j.events[at].op != opFact {
					continue
				}
				variants := uint64(1)
				if at == len(y.j.events)-1 {
					variants = 4
				}
				for v := range variants {
					random := rand.New(rand.NewPCG(uint64(at), v))
					y.j.promises(at+1).check(t, y.j.cut(t, at+1, random), unsyncedFiles{})
				}
			}
		})
	}
}

// afterFailedSync says, for each function that makes something durable, what follows when that fails, so that
// a sync which succeeds later proves nothing about earlier writes.
var afterFailedSync = map[string]string{
	"Writer.create":  "the file is removed: the next segment has a file of its own",
	"syncqueue.Beat": "each part takes the result: Writer.Synced and progress.Progress.Synced, the other changes by what follows them",
	"Writer.Synced": "the file is in doubt: it is no longer synced, the recorder begins another segment, " +
		"and Seal has it written again",
	"Writer.finish":               "the file is in doubt: Seal has it written again",
	"Writer.sealed":               "after a power cut the file has its name of before, and is recovered",
	"volume.Volume.MakeDirectory": "directory and marker are removed, and made by the next segment",
	"streams.Stream.SaveEnd":      "atomicfile.Replace: all of it is done again by the next who needs it",
	"layout.WriteStreamFile":      "its callers are here",
	"Store.SyncProgress":          "an error; the lines are still unsaved, and the next one does it again",
	"layout.WriteClock":           "its callers are here",
	"layout.WriteFormat":          "its callers are here",
	"repair.Recover":              "the file is in doubt, stays broken, and is written again before the next try",
	"repair.rewrite":              "the copy is removed, the file stays in doubt and broken, and is tried again",
	"Store.loadTorn":              "after a power cut the file has its name of before, and is recovered again",
	"Store.repairSegment":         "after a power cut the file has its name of before, and is recovered again",
	"repair.SetAside":             "reported; after a power cut the file has its name of before, and is set aside again",
	"progress.Progress.Sync":      "the lines since the last sync are kept, and the side file is written as a whole by the next",
	"progress.Progress.rewrite":   "atomicfile.Replace: the lines are kept, and it is done again by the next",
	"Store.settle": "the side file stays: after a power cut the segment is sealed, and nothing is sent " +
		"twice; the next call or the next beat does the rest",
	"Store.DeleteStream":      "reported; after a power cut the directory is there again, and deleted again",
	"volume.Volume.writeMark": "atomicfile.Replace: Open fails, and does it again; while the agent runs, the next operation does",
	"volume.Volume.Remember":  "atomicfile.Replace: Open fails, and does it again; while the agent runs, it is done again 30 s later",
	"streams.Stream.Sync":     "its callers are here",
	"writeClock": "atomicfile.Replace: an error for the recorder, and the notes of before stay; the " +
		"next ones are written as a whole",
	"volume.Volume.NeedFormat": "atomicfile.Replace: no segment or epoch of that format begins; the next one does it again",
	"gaps.Notes.append":        "the notes are unsaved: keepGaps writes all of them again as a whole",
	"gaps.Notes.Write":         "atomicfile.Replace: the notes stay unsaved, and it is done again",
	"gaps.Load":                "atomicfile.Replace: the longer file stays, and is shortened at another start",
	"Store.Requeue": "an error for the uploader; after a power cut the file has its name of before, and " +
		"is queued again another day",
}

func TestEachSyncHasAnAnswerToItsFailure(t *testing.T) {
	t.Parallel()
	found := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && syncs(f) {
				name := nameOf(f)
				if file.Name.Name != "segment" {
					name = file.Name.Name + "." + name
				}
				found[name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range found {
		if afterFailedSync[name] == "" {
			t.Errorf("%s makes something durable, and nothing is said of what follows when that fails", name)
		}
	}
	for name := range afterFailedSync {
		if !found[name] {
			t.Errorf("%s makes nothing durable", name)
		}
	}
}

// syncs reports whether a function makes something durable, itself or by one of the package layout.
func syncs(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch of, _ := s.X.(*ast.Ident); s.Sel.Name {
		case "Sync", "SyncDir":
			found = true
		case "Replace", "Swap":
			found = found || (of != nil && of.Name == "atomicfile")
		case "WriteStreamFile", "WriteClock", "WriteFormat":
			found = true
		case "sync":
			found = found || of == nil || of.Name != "w" // that of a writer is listed
		}
		return true
	})
	return found
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return fmt.Sprintf("%s.%s", of, f.Name.Name)
}

// The page cache outlives the agent, and with it what a failed sync did not write: the next one must not believe
// it either.
func TestAFileInDoubtIsWrittenAgainByTheNextAgent(t *testing.T) {
	t.Parallel()
	disk := &refusing{}
	dir := t.TempDir()
	s := openOn(t, disk, dir)
	w := startSegment(t, s, "door", begin, 3)
	var eio error = &fs.PathError{Op: "sync", Path: "x", Err: syscall.EIO}
	disk.fail.Store(&eio)
	if err := w.sync(0); !errors.Is(err, syscall.EIO) || !w.InDoubt() {
		t.Errorf("a failed sync says %v", err)
	}
	disk.fail.Store(nil)
	if err := w.file.Sync(); !errors.Is(err, syscall.EIO) || !w.InDoubt() {
		t.Errorf("the next one says %v, and the file is believed", err)
	}
	if err := s.Close(); err != nil { // as if it was killed
		t.Fatal(err)
	}
	path := filepath.Join(dir, "door", layout.WritingName(w.key.ID()))
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s = openOn(t, disk, dir)
	infos := s.Segments("door", time.Time{}, time.Time{})
	if len(infos) != 1 || infos[0].State != Sealed || len(fragmentsOf(t, s, w.Key())) != 3 {
		t.Fatalf("listed: %+v", infos)
	}
	if after, err := os.Stat(s.Path(w.Key())); err != nil || os.SameFile(before, after) {
		t.Errorf("the file is the one in doubt: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "door", "*"+layout.DoubtSuffix)); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
