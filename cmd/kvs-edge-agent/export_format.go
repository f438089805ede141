package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
)

// exportFormat is a format of exports.
type exportFormat struct {
	name   string
	stream func(ctx context.Context, r recordings, out io.Writer, progress func(done, total int64)) (localapi.Media, error)
	file   func(ctx context.Context, r recordings, out *os.File, progress func(done, total int64)) (localapi.Media, error)
}

var exportFormats = []exportFormat{
	{
		name: "mkv",
		stream: func(ctx context.Context, r recordings, out io.Writer, progress func(done, total int64)) (localapi.Media, error) {
			return r.Media(ctx, r.span, pipeFile{out}, progress)
		},
		file: func(ctx context.Context, r recordings, out *os.File, progress func(done, total int64)) (localapi.Media, error) {
			return r.Media(ctx, r.span, out, progress)
		},
	},
	{
		name: "mp4",
		stream: func(ctx context.Context, r recordings, out io.Writer, progress func(done, total int64)) (localapi.Media, error) {
			return r.MP4(ctx, r.span, func(int64) (io.Writer, error) { return out, nil }, progress)
		},
		file: exportMP4,
	},
}

// exportMP4 exports to a file with an index.
func exportMP4(ctx context.Context, r recordings, out *os.File, progress func(done, total int64)) (m localapi.Media, err error) {
	var file *mp4.File
	m, err = r.MP4(ctx, r.span, func(index int64) (_ io.Writer, err error) {
		file, err = mp4.NewFile(out, index)
		return file, err
	}, progress)
	if err == nil {
		m.Bytes, err = file.Finish(ctx)
	}
	return m, err
}

// formatOf returns the format that the flag says, or else the name of the file.
func formatOf(name, flag string) (exportFormat, error) {
	extension := strings.ToLower(filepath.Ext(name))
	for _, f := range exportFormats {
		if flag == f.name || flag == "" && !toStandardOutput(name) && extension == "."+f.name {
			return f, nil
		}
	}
	if flag != "" {
		return exportFormat{}, &exitError{exitSettings, fmt.Errorf("--format must be mkv or mp4, not %q", flag)}
	}
	if !toStandardOutput(name) {
		switch extension {
		case ".zip":
			return exportFormat{}, &exitError{exitSettings, errors.New("evidence is a zip archive: add --evidence")}
		case ".m4v", ".mov", ".avi", ".ts", ".webm", ".mpg", ".mpeg":
			return exportFormat{}, &exitError{exitSettings, fmt.Errorf("exports are Matroska or MP4: name the file .mkv or .mp4 in place of %s",
				extension)}
		}
	}
	return exportFormats[0], nil
}

// pipeFile is a file in which nothing is written again. What a complete file gets at last, its length and the
// place of its index, players do without.
type pipeFile struct{ io.Writer }

// WriteAt implements io.WriterAt.
func (pipeFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
