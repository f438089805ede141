package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// index is a file with one JSON object per line, open for appending.
type index struct {
	mu sync.Mutex
	f  *os.File
}

// openIndex opens the file, shows all its lines to see, and cuts off a line that was torn when the
// process was killed.
func openIndex[T any](path string, see func(T)) (*index, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	whole, err := readIndex(f, see)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &index{f: f}, nil
}

// ReadFragments lists the fragments in a directory, which a local cloud may be using. There are none where nothing was ever
// stored.
func ReadFragments(dir string) (list []Fragment, err error) {
	f, err := os.Open(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = readIndex(f, func(l line) { list = append(list, l.fragment()) })
	return list, err
}

func readIndex[T any](f *os.File, see func(T)) (whole int64, err error) {
	lines := bufio.NewReader(f)
	for n := 1; ; n++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		var l T
		if err := json.Unmarshal(bytes.TrimSpace(text), &l); err != nil {
			return whole, fmt.Errorf("line %d of %s cannot be read: %w; move the directory away to start with an empty one", n, f.Name(), err)
		}
		see(l)
		whole += int64(len(text))
	}
}

func (x *index) append(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	_, err = x.f.Write(append(text, '\n'))
	return err
}

func (x *index) close() error { return x.f.Close() }
