package segment

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
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// formatName is the file that holds the store's format, a decimal number, and the version of the program that
// needed it. It is missing in a store of the first one. What may follow is for later versions. It is written
// when the store is about to hold what a program of an earlier format does not see or would misread, and not
// before: so a hub can go back to an earlier version as long as nothing is lost by it.
const formatName = ".kvs-edge-format"

// The formats. What each of them brought is in docs/format.md; a file's form never changes within one.
const (
	formatFirst  = 1 // all that there was before stores had a format
	formatEpochs = 2 // names with an epoch
	formatKnown  = formatEpochs
)

// maxFormatFile bounds what is read of the file.
const maxFormatFile = 4096

// versionName is what versions of this program look like.
var versionName = regexp.MustCompile(`^[0-9A-Za-z.+~-]{1,64}$`)

// CodeFormat is the code of a store that a newer version has written.
const CodeFormat = "store-format"

// readFormat reads the store's format, and the version of the program that needed it, if it is known. What is
// no number, as a power cut may leave it, says nothing.
func (s *Store) readFormat() (format int32, by string, err error) {
	data, err := os.ReadFile(filepath.Join(s.dir, formatName))
	if errors.Is(err, fs.ErrNotExist) {
		return formatFirst, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	words := strings.Fields(string(data[:min(len(data), maxFormatFile)]))
	if len(words) == 0 {
		return formatFirst, "", nil
	}
	n, err := strconv.ParseInt(words[0], 10, 32)
	if err != nil || n < formatFirst {
		return formatFirst, "", nil
	}
	if len(words) > 1 && versionName.MatchString(words[1]) {
		by = words[1]
	}
	return int32(n), by, nil
}

// expectFormat refuses a store that a newer version has written, before anything is changed in it.
func (s *Store) expectFormat() error {
	n, by, err := s.readFormat()
	if err != nil {
		return diskFault(s.dir, err)
	}
	newer := "a newer version"
	if by != "" {
		newer += " (" + by + ")"
	}
	if n > formatKnown {
		return health.UserFault(CodeFormat, nil,
			"The recordings in %s have format %d, as %s of this program wrote them, and this version knows formats up to %d: install that version or a later one again, or record to another directory.",
			s.dir, n, newer, formatKnown)
	}
	s.format.Store(n)
	return nil
}

// needFormat has the store be of a format, durably, before something of that format is written to it.
func (s *Store) needFormat(n int32) error {
	if s.format.Load() >= n {
		return nil
	}
	s.forming.Lock()
	defer s.forming.Unlock()
	if s.format.Load() >= n {
		return nil
	}
	line := strings.TrimSpace(fmt.Sprint(n, " ", s.version))
	if err := atomicfile.Replace(s.files, filepath.Join(s.dir, formatName), []byte(line+"\n"), fileMode); err != nil {
		return diskFault(s.dir, err)
	}
	s.format.Store(n)
	return nil
}

// formatOf is the format that a segment's name needs.
func formatOf(k id) int32 {
	if k.epoch > 0 {
		return formatEpochs
	}
	return formatFirst
}

// restoreFormat writes the format again when somebody removed its file.
func (s *Store) restoreFormat() error {
	if _, err := s.files.Stat(filepath.Join(s.dir, formatName)); errors.Is(err, fs.ErrNotExist) {
		s.format.Store(formatFirst)
	}
	return s.keepFormat()
}

// keepFormat has the store be of the format that its streams need: one that was lost, say.
func (s *Store) keepFormat() error {
	needed := int32(formatFirst)
	s.mu.Lock()
	for _, st := range s.streams {
		needed = max(needed, formatOf(id{epoch: st.epoch}))
	}
	s.mu.Unlock()
	return s.needFormat(needed)
}
