package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// addLogs adds the ends of the newest log files.
func (b *bundle) addLogs(ctx context.Context, dir string) {
	names, err := within(ctx, bundleDiskTime, func(context.Context) ([]string, error) { return newestLogs(dir) })
	b.miss("logs", err)
	for _, name := range names {
		read := func(context.Context) ([]byte, error) { return lastBytes(filepath.Join(dir, name), bundleLogBytes) }
		b.useful = b.part(ctx, "logs/"+name, bundleDiskTime, read) || b.useful
	}
}

func newestLogs(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	type logFile struct {
		name string
		time time.Time
	}
	var files []logFile
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(entry.Name(), ".log") {
			files = append(files, logFile{entry.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(x, y logFile) int { return y.time.Compare(x.time) })
	for _, f := range files[:min(len(files), bundleLogFiles)] {
		names = append(names, f.name)
	}
	return names, nil
}

// lastBytes reads the last bytes of a file, from the beginning of a line.
func lastBytes(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-most)
	data, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil || from == 0 {
		return data, err
	}
	_, data, _ = bytes.Cut(data, []byte("\n"))
	return data, nil
}
