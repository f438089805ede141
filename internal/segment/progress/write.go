package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// WritePersisted writes that a fragment is persisted.
func (p *Progress) WritePersisted(f mkv.Fragment) error {
	return p.write(fmt.Sprintf("%s %d %d %d", linePersisted, f.Start.Milliseconds(), f.Size, f.Last.Milliseconds()))
}

// WriteRefused writes that fragments are refused.
func (p *Progress) WriteRefused(list ...Refusal) error {
	var all []string
	for _, one := range list {
		start := one.Start.Milliseconds()
		line := strings.TrimRight(fmt.Sprintf("%s %d %d %d %s", lineRefused, start, one.Size, one.Last.Milliseconds(), one.Code), " ")
		all = append(all, line, fmt.Sprintf("%s %d %d %d", lineTried, start, one.At, one.Tries))
	}
	return p.write(strings.Join(all, "\n"))
}

// WriteAgain writes that refused fragments are pending again since now, in Unix ms.
func (p *Progress) WriteAgain(list []Refusal, now int64) error {
	var again []string
	for _, one := range list {
		again = append(again, fmt.Sprintf("%s %d %d %d", lineAgain, one.Start.Milliseconds(), now, one.Tries))
	}
	return p.write(strings.Join(again, "\n"))
}

// WritePending writes the lines that could not be written before.
func (p *Progress) WritePending() error { return p.write("") }

// TryWritePending is WritePending, but does nothing while another goroutine writes, which writes these lines too.
func (p *Progress) TryWritePending() error {
	if !p.writing.TryLock() {
		return nil
	}
	defer p.writing.Unlock()
	return p.writePending()
}

// write appends a line, if there is one, and all pending lines to the side file. On a slow disk this delays only goroutines
// that record the segment's fragments.
func (p *Progress) write(line string) error {
	p.mu.Lock()
	if line != "" {
		p.lines.pending, p.unsaved = append(p.lines.pending, line), true
	}
	p.mu.Unlock()
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.writePending()
}

// writePending writes the pending lines. Call with writing held.
func (p *Progress) writePending() error {
	p.mu.Lock()
	f, pending, torn := p.file, slices.Clone(p.lines.pending), p.lines.torn
	ended, named := p.ended, p.lines.named
	p.mu.Unlock()
	if ended || len(pending) == 0 {
		return nil // the segment is uploaded or deleted, or nothing is pending
	}
	if f == nil {
		var err error
		if f, named, err = p.open(named); err != nil {
			return err
		}
	}
	data := strings.Join(pending, "\n") + "\n"
	if torn {
		data = "\n" + data
	}
	_, err := f.Write([]byte(data))
	p.mu.Lock()
	defer p.mu.Unlock()
	n := &p.lines
	p.file, n.named, n.torn = f, named, err != nil && !errors.Is(err, os.ErrClosed)
	if err == nil {
		n.written, n.pending = append(n.written, pending...), slices.Delete(n.pending, 0, len(pending))
	}
	return err
}

// open opens the side file, and reports whether its name is durable: one whose name was is there, unless somebody removed it.
func (p *Progress) open(wasNamed bool) (f atomicfile.File, named bool, err error) {
	const appending = os.O_APPEND | os.O_WRONLY
	if wasNamed {
		f, err = p.files.OpenFile(p.path(), appending, layout.FileMode)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, true, err
		}
	}
	f, err = p.files.OpenFile(p.path(), os.O_CREATE|appending, layout.FileMode)
	return f, false, err
}

// Unsaved reports whether there are lines that are not durable.
func (p *Progress) Unsaved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unsaved
}

// Pending reports whether there are lines that could not be written.
func (p *Progress) Pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unsaved && len(p.lines.pending) > 0
}

// Sync makes the side file durable, also lines that could not be written before. It does not wait for a goroutine that is
// writing a line: that line is synced the next time.
func (p *Progress) Sync() error {
	p.syncing.Lock()
	f, dir, due, err := p.due()
	if !due {
		p.syncing.Unlock()
		return err
	}
	if err = f.Sync(); err == nil && dir != "" {
		err = p.files.SyncDir(dir)
	}
	return p.Synced(err)
}

// Due implements syncqueue.Part: it writes the lines that could not be written before. Nothing is due while Sync is under way.
func (p *Progress) Due() (f atomicfile.File, dir string, due bool, err error) {
	if !p.syncing.TryLock() {
		return nil, "", false, nil
	}
	if f, dir, due, err = p.due(); !due {
		p.syncing.Unlock()
	}
	return f, dir, due, err
}

// due returns the file with lines that are not durable, and the directory, if the file's name is not. Call with syncing held.
func (p *Progress) due() (f atomicfile.File, dir string, due bool, err error) {
	if p.writing.TryLock() {
		again, err := p.catchUp()
		p.writing.Unlock()
		if again || err != nil {
			return nil, "", false, err
		}
	}
	n := &p.lines
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil || n.again {
		return nil, "", false, nil
	}
	if !n.named {
		dir = p.dir
	}
	n.syncing, n.inSync = p.file, len(n.written)
	return p.file, dir, true, nil
}

// Synced implements syncqueue.Part: it takes the result of a sync. The file is open only until all is durable: a stream
// that is uploaded on request has many segments of which a part is uploaded, for days.
func (p *Progress) Synced(err error) error {
	n := &p.lines
	p.mu.Lock()
	defer p.mu.Unlock()
	f := n.syncing
	if f != nil {
		n.syncing = nil
		defer p.syncing.Unlock()
	}
	switch {
	case p.file != f || errors.Is(err, os.ErrClosed):
		return nil // its segment is uploaded or deleted
	case err != nil:
		n.again = true
		return err
	case f == nil:
		return nil
	}
	n.named, n.written = true, slices.Delete(n.written, 0, n.inSync)
	if p.unsaved = len(n.written)+len(n.pending) > 0; !p.unsaved {
		p.file = nil
		_ = f.Close() // what it has is durable
	}
	return nil
}

// catchUp writes the pending lines, or, after a failed sync, the complete file, which again reports. Call with writing held.
func (p *Progress) catchUp() (again bool, err error) {
	p.mu.Lock()
	again = p.lines.again
	p.mu.Unlock()
	if again {
		return true, p.rewrite()
	}
	return false, p.writePending()
}

// rewrite replaces a side file of which a sync failed by a complete new one. Call with writing held.
func (p *Progress) rewrite() error {
	n := &p.lines
	p.mu.Lock()
	f, ended, kept, pending := p.file, p.ended, slices.Concat(n.written, n.pending), len(n.pending)
	p.mu.Unlock()
	if ended {
		return nil
	}
	data, err := os.ReadFile(p.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	// Lines that may be missing are appended: a line that is read twice has no further effect.
	if text := []byte(strings.Join(kept, "\n") + "\n"); len(kept) > 0 && !bytes.HasSuffix(data, text) {
		data = append(data, text...)
	}
	err = atomicfile.Replace(p.files, p.path(), data, layout.FileMode)
	if f != nil {
		_ = f.Close() // it may be the file that lost its name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.file = nil
	if err != nil {
		return err
	}
	*n = lines{named: true, pending: slices.Delete(n.pending, 0, pending)}
	p.unsaved = len(n.pending) > 0
	return nil
}

// End ends the side file. It waits for a goroutine that is writing a line, so that the file is not created again after its
// removal.
func (p *Progress) End() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	f := p.file
	p.ended, p.file, p.unsaved = true, nil, false
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

// Remove removes the side file, if it exists. Call End before.
func (p *Progress) Remove() error {
	if err := p.files.Remove(p.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
