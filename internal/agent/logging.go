package agent

import (
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"gopkg.in/natefinch/lumberjack.v2"
)

const logFileName = "kvs-edge-agent.log"

// off lies above every level that anything is logged at.
const off = zapcore.FatalLevel + 1

// zapLevel translates the level names of AWS's agent. zap has nothing below debug.
func zapLevel(name string) zapcore.Level {
	switch name {
	case "OFF":
		return off
	case "FATAL":
		return zapcore.FatalLevel
	case "ERROR":
		return zapcore.ErrorLevel
	case "WARN":
		return zapcore.WarnLevel
	case "ALL", "DEBUG", "TRACE":
		return zapcore.DebugLevel
	default:
		return zapcore.InfoLevel
	}
}

// NewLogger returns a logger that writes to standard error (for journald) and to rotated files,
// and a function that closes the file.
func NewLogger(s LogSettings) (*zap.Logger, func(), error) {
	if err := os.MkdirAll(s.Directory, 0o750); err != nil {
		return nil, nil, fmt.Errorf("cannot open the log directory: %w; set %s", err, EnvLogOutputDirectory)
	}
	file := &lumberjack.Logger{
		Filename:   filepath.Join(s.Directory, logFileName),
		MaxSize:    s.MaxFileSizeMB,
		MaxBackups: s.RolloverCount,
	}
	level := zap.NewAtomicLevelAt(zapLevel(s.Level))
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	console := config
	console.EncodeLevel = zapcore.CapitalLevelEncoder
	if os.Getenv("JOURNAL_STREAM") != "" {
		console.TimeKey = "" // journald stamps the lines itself
	}
	core := zapcore.NewTee(
		zapcore.NewCore(zapcore.NewConsoleEncoder(console), zapcore.Lock(os.Stderr), level),
		zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.AddSync(file), level),
	)
	return zap.New(core), func() { _ = file.Close() }, nil
}
