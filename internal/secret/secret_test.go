package secret_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func TestNoWayOfPrintingShowsTheValue(t *testing.T) {
	t.Parallel()
	const planted = "rtsp://admin:hunter2@10.0.0.9/"
	s := secret.New(planted)
	holder := struct{ URL secret.String }{s}
	encoded, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": holder})
	if err != nil {
		t.Fatal(err)
	}
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	line, err := enc.EncodeEntry(zapcore.Entry{}, []zap.Field{zap.Any("url", s), zap.Stringer("u", s), zap.Any("h", holder)})
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]string{
		"verbs": fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s),
		"inner": fmt.Sprintf("%v %+v %#v %s", holder, holder, holder, &holder),
		"error": fmt.Errorf("cannot reach %v", s).Error(),
		"json":  string(encoded),
		"slog":  slog.AnyValue(s).Resolve().String(),
		"zap":   line.String(),
	} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows the secret: %s", name, shown)
		}
	}
	if s.Reveal() != planted {
		t.Errorf("Reveal gave %q", s.Reveal())
	}
}
