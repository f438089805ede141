package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/natefinch/lumberjack.v2"
)

const logFileName = "kvs-edge-agent.log"

// NewLogger returns a logger that writes to standard error (for journald) and to rotated files,
// and a function that closes the file. Failures that repeat are collapsed, except below INFO.
func NewLogger(s LogSettings, level *LogLevel) (*zap.Logger, func(), error) {
	if err := os.MkdirAll(s.Directory, 0o750); err != nil {
		return nil, nil, fmt.Errorf("cannot open the log directory: %w; set %s", err, EnvLogOutputDirectory)
	}
	file := &lumberjack.Logger{
		Filename:   filepath.Join(s.Directory, logFileName),
		MaxSize:    s.MaxFileSizeMB,
		MaxBackups: s.RolloverCount,
	}
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
	return zap.New(collapse(core, time.Now)), func() { _ = file.Close() }, nil
}
