package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// FormatFileName is the file with the store's format, a decimal number, and the version of the program that needed it. A
// store of the first format has none. Later versions may append to it. It is written when the store is about to contain
// files that a program of an earlier format ignores or misreads, and not before: so a hub can return to an earlier version
// as long as that loses nothing.
const FormatFileName = ".kvs-edge-format"

// The formats. docs/format.md describes the additions of each; the form of a file never changes within one.
const (
	FormatFirst  = 1 // of stores without the file
	formatEpochs = 2 // names with an epoch
	FormatHolds  = 3 // recordings that nothing may delete, by .holds
	FormatKnown  = FormatHolds
)

// maxFormatFile bounds how much of the file is read.
const maxFormatFile = 4096

// versionName matches versions of this program.
var versionName = regexp.MustCompile(`^[0-9A-Za-z.+~-]{1,64}$`)

// ReadFormat reads the store's format, and the version of the program that needed it, if it is known. Content that is not a
// number, as a power cut may leave, is ignored.
func ReadFormat(dir string) (format int32, by string, err error) {
	data, err := os.ReadFile(filepath.Join(dir, FormatFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return FormatFirst, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	words := strings.Fields(string(data[:min(len(data), maxFormatFile)]))
	if len(words) == 0 {
		return FormatFirst, "", nil
	}
	n, err := strconv.ParseInt(words[0], 10, 32)
	if err != nil || n < FormatFirst {
		return FormatFirst, "", nil
	}
	if len(words) > 1 && versionName.MatchString(words[1]) {
		by = words[1]
	}
	return int32(n), by, nil
}

// WriteFormat writes the store's format, durably, and the version of this program.
func WriteFormat(files atomicfile.FileSystem, dir string, n int32, version string) error {
	line := strings.TrimSpace(fmt.Sprint(n, " ", version))
	return atomicfile.Replace(files, filepath.Join(dir, FormatFileName), []byte(line+"\n"), FileMode)
}

// FormatOf returns the format that a segment's name needs.
func FormatOf(k ID) int32 {
	if k.Epoch > 0 {
		return formatEpochs
	}
	return FormatFirst
}
