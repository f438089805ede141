package agent

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
)

const (
	logFileName = "kvs-edge-agent.log"
	logFileMode = 0o640 // the agent's group reads along

	logDirectoryMode = 0o750
)

// LogFile is the rotated file that is logged to. A reload may put another in its place. Safe for
// concurrent use.
type LogFile struct {
	mu       sync.Mutex
	file     *lumberjack.Logger // guarded by mu, as all below
	settings LogSettings
	looked   time.Time   // when it was last looked whether the file is in its place
	there    fs.FileInfo // the file then
}

// watchLog is how often that is looked at: who removes the log directory finds the next lines in a new one.
const watchLog = time.Second

// OpenLogFile makes the directory. The agent runs without a file that cannot be written: its disk
// may be full.
func OpenLogFile(s LogSettings) (*LogFile, error) {
	if err := os.MkdirAll(s.Directory, logDirectoryMode); err != nil {
		return nil, fmt.Errorf("cannot open the log directory: %w; set %s", err, EnvLogOutputDirectory)
	}
	_ = touchLogFile(s) // those of rotation get its mode, which would be 0600
	return &LogFile{file: rotated(s), settings: s}, nil
}

func rotated(s LogSettings) *lumberjack.Logger {
	limit := s.MaxFileSizeMB
	if limit == 0 {
		limit = math.MaxInt32 // lumberjack would take 0 for 100
	}
	return &lumberjack.Logger{
		Filename:   filepath.Join(s.Directory, logFileName),
		MaxSize:    limit,
		MaxBackups: max(s.RolloverCount, 1), // lumberjack would take 0 for all
	}
}

// Write implements io.Writer.
func (f *LogFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked).Abs() >= watchLog {
		f.looked = now
		f.restore()
	}
	return f.file.Write(line)
}

// restore opens the file again when somebody removed or replaced it: a line written to the open one would be seen by
// nobody. Call with mu held.
func (f *LogFile) restore() {
	path := filepath.Join(f.settings.Directory, logFileName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_ = os.MkdirAll(f.settings.Directory, logDirectoryMode)
		_ = touchLogFile(f.settings) // or else it gets the mode of rotation, 0600
	case err != nil || f.there == nil || os.SameFile(info, f.there):
		f.there = info
		return
	}
	_ = f.file.Close() // the next line opens it
	f.there, _ = os.Stat(path)
}

// Close closes the file; a line that is written all the same opens it again.
func (f *LogFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// follow writes by other settings from now on, whose directory must be there. Of what it leaves,
// lumberjack keeps a sleeping goroutine.
func (f *LogFile) follow(s LogSettings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.file.Close() // each line is with the kernel already
	f.file, f.settings, f.there = rotated(s), s, nil
}

// tryLogDirectory finds out whether a log can be written with these settings.
func tryLogDirectory(s LogSettings) error {
	if _, err := OpenLogFile(s); err != nil {
		return err
	}
	return touchLogFile(s)
}

func touchLogFile(s LogSettings) error {
	file, err := os.OpenFile(filepath.Join(s.Directory, logFileName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, logFileMode)
	if err != nil {
		return err
	}
	return file.Close()
}

// NewLogger returns a logger that writes to standard error (for journald) and to file. Failures
// that repeat are collapsed, except below INFO.
func NewLogger(file *LogFile, level *LogLevel) *zap.Logger {
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
	return zap.New(cleaned(collapse(core, time.Now)))
}
