// Package archive keeps the media of the data plane on disk: a Matroska file for each stream, the heads that producers
// sent, and the lists of fragments and tags. It must not know how fragments come in or go out.
//
// # On disk
//
// The directory holds one Matroska file per stream, <stream>.mkv, that grows by one Cluster per fragment and
// can be opened by any tool at any time, and fragments.jsonl with one line per fragment. A session
// with another codec configuration begins a further file, <stream>-2.mkv. Fragments lie there in
// the order of arrival and exactly as they were sent, repeated ones too, so that repeats can be
// counted; only those of RELATIVE sessions get a new Cluster head, with the absolute time, and
// keep their own in fragments.jsonl.
// What producers sent before their first Clusters is in heads/, each distinct one once, and what
// they sent between Clusters, tags above all, in tags.jsonl. Fragments that the cloud is to have lost are named
// in lost.jsonl, which is there only if there are any. PERSISTED is sent when the file system
// has taken the bytes and the lines: they survive the end of the process, not a power cut.
// Directories of versions without heads/ are opened and continued; GetMedia then writes a head of
// its own for the old fragments.
package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Archive is a directory of media.
type Archive struct {
	dir       string
	fragments *index
	tags      *index
	heads     heads

	mu    sync.Mutex
	names map[string]bool // of files; guarded by mu
}

// Open opens a directory, which it makes if missing, and returns what earlier runs noted. Tags of a fragment that was
// not noted are left out.
func Open(dir string) (*Archive, []Fragment, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("cannot make the media directory of the local cloud: %w", err)
	}
	a := &Archive{dir: dir, names: map[string]bool{}}
	a.heads.dir = filepath.Join(dir, headsName)
	var fragments []Fragment
	at := map[string]int{} // index by number
	lost, err := readLost(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the local cloud's list of lost fragments: %w", err)
	}
	a.fragments, err = openIndex(filepath.Join(dir, indexName), func(l line) {
		at[l.Number] = len(fragments)
		fragments = append(fragments, l.fragment())
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the local cloud's list of fragments: %w", err)
	}
	a.tags, err = openIndex(filepath.Join(dir, tagIndexName), func(l tagLine) {
		if i, ok := at[l.Number]; ok {
			f := &fragments[i]
			f.Tags, f.Lead, f.Tail = append(f.Tags, l.Tags...), append(f.Lead, l.Before...), append(f.Tail, l.Behind...)
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the local cloud's list of tags: %w", errors.Join(err, a.fragments.close()))
	}
	for _, f := range fragments {
		a.names[f.File] = true
	}
	fragments = slices.DeleteFunc(fragments, func(f Fragment) bool { return lost[lostLine{Stream: f.Stream, Number: f.Number}] })
	return a, fragments, nil
}

// Close closes the lists.
func (a *Archive) Close() error { return errors.Join(a.fragments.close(), a.tags.close()) }

// Note writes the lines about a fragment. That of its tags goes first, so that a fragment in the
// list has all that belongs to it.
func (a *Archive) Note(f Fragment) error {
	if len(f.Tags)+len(f.Lead)+len(f.Tail) > 0 {
		l := tagLine{Stream: f.Stream, Number: f.Number, Tags: f.Tags, Before: f.Lead, Behind: f.Tail}
		if err := a.tags.append(l); err != nil {
			return err
		}
	}
	return a.fragments.append(f.line())
}

// KeepHead stores what a producer sent before its first Cluster, and returns the name under which Head returns it.
func (a *Archive) KeepHead(head []byte) (name string, err error) { return a.heads.keep(head) }

// Head returns what KeepHead stored.
func (a *Archive) Head(name string) ([]byte, error) { return a.heads.read(name) }

// Reader returns a reader of stored fragments; it has to be closed.
func (a *Archive) Reader() *Reader { return &Reader{dir: a.dir} }

// take takes the name of a file, and reports whether it was free.
func (a *Archive) take(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.names[name] {
		return false
	}
	a.names[name] = true
	return true
}
