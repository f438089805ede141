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

// FormatFileName is the file that holds the store's format, a decimal number, and the version of the program that
// needed it. It is missing in a store of the first one. What may follow is for later versions. It is written
// when the store is about to hold what a program of an earlier format does not see or would misread, and not
// before: so a hub can go back to an earlier version as long as nothing is lost by it.
const FormatFileName = ".kvs-edge-format"

// The formats. What each of them brought is in docs/format.md; a file's form never changes within one.
const (
	FormatFirst  = 1 // all that there was before stores had a format
	formatEpochs = 2 // names with an epoch
	FormatKnown  = formatEpochs
)

// maxFormatFile bounds what is read of the file.
const maxFormatFile = 4096

// versionName is what versions of this program look like.
var versionName = regexp.MustCompile(`^[0-9A-Za-z.+~-]{1,64}$`)

// ReadFormat reads the store's format, and the version of the program that needed it, if it is known. What is
// no number, as a power cut may leave it, says nothing.
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

// FormatOf is the format that a segment's name needs.
func FormatOf(k ID) int32 {
	if k.Epoch > 0 {
		return formatEpochs
	}
	return FormatFirst
}
