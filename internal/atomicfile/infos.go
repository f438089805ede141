package atomicfile

import (
	"io/fs"
	"slices"
	"strings"
	"sync"
)

const (
	// infosAtOnce is how many goroutines read the sizes of files. A disk that is slow to find them finds several at a time.
	infosAtOnce = 8
	// infosEach is how many each of them reads at least.
	infosEach = 128
)

// WithInfo returns the entries of a directory, of which those with that suffix have their Info, or its error, read already: several at
// a time where there are many, since each is a call of its own.
func WithInfo(entries []fs.DirEntry, suffix string) []fs.DirEntry {
	entries = slices.Clone(entries)
	each := max((len(entries)+infosAtOnce-1)/infosAtOnce, infosEach)
	var reading sync.WaitGroup
	for some := range slices.Chunk(entries, each) {
		read := func() {
			for i, e := range some {
				if strings.HasSuffix(e.Name(), suffix) {
					info, err := e.Info()
					some[i] = known{e, info, err}
				}
			}
		}
		if len(entries) <= each {
			read()
			continue
		}
		reading.Go(read)
	}
	reading.Wait()
	return entries
}

// known is an entry whose Info was read.
type known struct {
	fs.DirEntry
	info fs.FileInfo
	err  error
}

// Info implements fs.DirEntry.
func (k known) Info() (fs.FileInfo, error) { return k.info, k.err }
