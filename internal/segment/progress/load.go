package progress

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

const (
	linePersisted = "persisted"
	lineRefused   = "refused"
	lineTried     = "tried"
	lineAgain     = "again"
)

// Load reads a side file, and which fragments are refused according to it; torn and unknown lines are ignored. With readOnly
// nothing is written, not even the end of a torn line.
func Load(files atomicfile.FileSystem, dir string, k layout.ID, readOnly bool) (*Progress, []Refusal, error) {
	p := New(files, dir, k)
	data, err := files.ReadFile(p.path())
	if err != nil {
		return nil, nil, err
	}
	var refused Refusals
	scan := bufio.NewScanner(bytes.NewReader(data))
	scan.Buffer(nil, len(data)+1) // a power cut may leave one long line
	for scan.Scan() {
		p.read(strings.Fields(scan.Text()), &refused)
	}
	for _, one := range slices.Clone(refused.Of[layout.ID{}]) {
		if !byService(one.Code) { // the connection was the cause
			refused.Take(layout.ID{}, one.Start)
			p.undo(one)
		}
	}
	list := refused.Of[layout.ID{}]
	// A line that a power cut tore must not swallow the next one.
	if n := len(data); n > 0 && data[n-1] != '\n' && !readOnly {
		if err := p.endLine(); err != nil {
			return nil, nil, err
		}
	}
	return p, list, nil
}

// Reload reads the side file of a segment whose progress nobody changes now. Lines of open that the disk did not accept
// before are written first; open is nil when there are none.
func Reload(files atomicfile.FileSystem, dir string, k layout.ID, open *Progress) (*Progress, error) {
	if open != nil {
		if err := open.WritePending(); err != nil {
			return nil, err
		}
	}
	p, _, err := Load(files, dir, k, false)
	return p, err
}

// path returns the path of the side file.
func (p *Progress) path() string { return filepath.Join(p.dir, p.name) }

// endLine ends the last line of the side file.
func (p *Progress) endLine() error {
	f, err := p.files.OpenFile(p.path(), os.O_APPEND|os.O_WRONLY, layout.FileMode)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{'\n'})
	return errors.Join(err, f.Close())
}

// read parses a line.
func (p *Progress) read(fields []string, refused *Refusals) {
	if len(fields) < 4 {
		return
	}
	var numbers [3]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil || n < 0 {
			return
		}
		numbers[i] = n
	}
	start := time.Duration(numbers[0]) * time.Millisecond
	one, isRefused := refused.Take(layout.ID{}, start)
	switch fields[0] {
	case linePersisted, lineRefused:
		f := mkv.Fragment{Start: start, Size: numbers[1], Last: time.Duration(numbers[2]) * time.Millisecond}
		tries := p.again[start].Tries
		p.add(f)
		if isRefused = fields[0] == lineRefused; isRefused {
			one = Refusal{Start: start, Last: f.Last, Size: f.Size, Code: strings.Join(fields[4:], " "), Tries: tries}
		}
	case lineTried:
		one.At, one.Tries = numbers[1], int(numbers[2])
	case lineAgain:
		if isRefused {
			one.At, one.Tries = numbers[1], int(numbers[2])
			p.undo(one)
		}
		return
	}
	if isRefused {
		refused.Add(layout.ID{}, one)
	}
}
