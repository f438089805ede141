package volume

import (
	"io/fs"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
)

const (
	// sizesAtOnce is how many goroutines read the sizes of files. A disk that is slow to find them finds several at a time.
	sizesAtOnce = 8
	// sizesEach is how many each of them reads before the next one begins.
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
	flush.Each((len(entries)+sizesEach-1)/sizesEach, sizesAtOnce, func(part int) {
		for i := part * sizesEach; i < min(len(entries), (part+1)*sizesEach); i++ {
			if strings.HasSuffix(entries[i].Name(), suffix) {
				sizes[i] = sizeOf(entries[i])
			}
		}
	})
	return sizes
}

func sizeOf(e fs.DirEntry) Size {
	info, err := e.Info()
	if err != nil {
		return Size{Err: err}
	}
	return Size{Bytes: info.Size()}
}
