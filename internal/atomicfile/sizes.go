package atomicfile

import (
	"io/fs"
	"slices"
	"strings"
	"sync"
)

const (
	// sizesAtOnce is how many goroutines read the sizes of files. A disk that is slow to find them finds several at a time.
	sizesAtOnce = 8
	// sizesEach is how many each of them reads at least.
	sizesEach = 128
)

// Size is the size of a file in bytes, or why it is not known.
type Size struct {
	Bytes int64
	Err   error
}

// Sizes returns the sizes of the entries of a directory whose names have that suffix, at their indices: read several at a time where
// there are many, since each is a call of its own.
func Sizes(entries []fs.DirEntry, suffix string) []Size {
	sizes := make([]Size, len(entries))
	each := max((len(entries)+sizesAtOnce-1)/sizesAtOnce, sizesEach)
	var reading sync.WaitGroup
	at := 0
	for some := range slices.Chunk(entries, each) {
		to := sizes[at : at+len(some)]
		at += len(some)
		read := func() {
			for i, e := range some {
				if strings.HasSuffix(e.Name(), suffix) {
					to[i] = sizeOf(e)
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
	return sizes
}

func sizeOf(e fs.DirEntry) Size {
	info, err := e.Info()
	if err != nil {
		return Size{Err: err}
	}
	return Size{Bytes: info.Size()}
}
