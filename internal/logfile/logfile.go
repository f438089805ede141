// Package logfile owns the agent's log: the rotated file, its level, and a logger that cleans texts from outside and
// leaves out failures that repeat. It must not know what is logged.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

const (
	fileName = "kvs-edge-agent.log"
	fileMode = 0o640 // the agent's group reads along

	directoryMode = 0o750
)

// File is the rotated file that is logged to. A reload may replace it. Safe for
// concurrent use.
type File struct {
	mu       sync.Mutex
	file     *lumberjack.Logger // guarded by mu, as all below
	files    map[rotation]*lumberjack.Logger
	settings settings.Log
	checked  time.Time   // when the file was last found at its path, or created there
	there    fs.FileInfo // the file then
}

// rotation is what a file is rotated by.
type rotation struct {
	directory  string
	size, keep int // MB, and how many files
}

// watchEvery is how often that is checked: a log directory that was removed is created again for the next lines.
const watchEvery = time.Second

// Open makes the directory. The agent runs without a file that cannot be written: its disk
// may be full.
func Open(s settings.Log) (*File, error) {
	if err := os.MkdirAll(s.Directory, directoryMode); err != nil {
		return nil, fmt.Errorf("cannot open the log directory: %w; set %s", err, settings.EnvLogOutputDirectory)
	}
	_ = touch(s) // those of rotation get its mode, which would be 0600
	f := &File{settings: s, files: make(map[rotation]*lumberjack.Logger)}
	f.file = f.rotated(s)
	return f, nil
}

// rotated returns the file that is rotated so: each only once, as lumberjack keeps a goroutine of each that it ever opened.
func (f *File) rotated(s settings.Log) *lumberjack.Logger {
	by := rotation{s.Directory, s.MaxFileSizeMB, s.RolloverCount}
	if f.files[by] == nil {
		f.files[by] = newRotated(s)
	}
	return f.files[by]
}

func newRotated(s settings.Log) *lumberjack.Logger {
	limit := s.MaxFileSizeMB
	if limit == 0 {
		limit = math.MaxInt32 // lumberjack would take 0 for 100
	}
	return &lumberjack.Logger{
		Filename:   filepath.Join(s.Directory, fileName),
		MaxSize:    limit,
		MaxBackups: max(s.RolloverCount, 1), // lumberjack would take 0 for all
	}
}

// Write implements io.Writer.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked).Abs() >= watchEvery {
		f.checked = now
		f.restore()
	}
	return f.file.Write(line)
}

// restore opens the file again when somebody removed or replaced it: a line written to the open one would be seen by
// nobody. Call with mu held.
func (f *File) restore() {
	path := filepath.Join(f.settings.Directory, fileName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_ = os.MkdirAll(f.settings.Directory, directoryMode)
		_ = touch(f.settings) // or else it gets the mode of rotation, 0600
	case err != nil || f.there == nil || os.SameFile(info, f.there):
		f.there = info
		return
	}
	_ = f.file.Close() // the next line opens it
	f.there, _ = os.Stat(path)
}

// Close closes the file; a line that is written all the same opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// Settings are those by which it is written.
func (f *File) Settings() settings.Log {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}

// Follow writes by other settings from now on, whose directory must exist.
func (f *File) Follow(s settings.Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.file.Close() // each line is with the kernel already
	f.file, f.settings, f.there = f.rotated(s), s, nil
}

// Try finds out whether a log can be written with these settings.
func Try(s settings.Log) error {
	if _, err := Open(s); err != nil {
		return err
	}
	return touch(s)
}

func touch(s settings.Log) error {
	file, err := os.OpenFile(filepath.Join(s.Directory, fileName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	return file.Close()
}

// NewLogger returns a logger that writes to standard error (for journald) and to file. Failures
// that repeat are collapsed, except below INFO.
func NewLogger(file *File, level *Level) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	console := config
	console.EncodeLevel = zapcore.CapitalLevelEncoder
	if os.Getenv("JOURNAL_STREAM") != "" {
		console.TimeKey = "" // journald stamps the lines itself
	}
	core := zapcore.NewTee(
		zapcore.NewCore(zapcore.NewConsoleEncoder(console), zapcore.Lock(os.Stderr), level.zap),
		zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.AddSync(file), level.zap),
	)
	return zap.New(cleaned(dedup(core, time.Now)))
}
