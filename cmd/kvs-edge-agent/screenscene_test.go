package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"
)

// The cameras of the screenshots show a shop, drawn here: nobody's picture is in the docs.
const (
	sceneWidth, sceneHeight = 640, 360
	sceneFPS, sceneFrames   = 10, 60
)

// scene draws a picture of a place. At goes from 0 to 1 in the course of the film.
type scene func(c canvas, at float64)

type canvas struct{ *image.RGBA }

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 255}
}

func (c canvas) rect(x, y, w, h int, hex uint32) {
	draw.Draw(c, image.Rect(x, y, x+w, y+h), image.NewUniform(rgb(hex)), image.Point{}, draw.Src)
}

// shade fills rows with colours between two.
func (c canvas) shade(y, h int, top, bottom uint32) {
	a, b := rgb(top), rgb(bottom)
	mix := func(a, b uint8, i int) uint32 {
		return uint32(float64(a) + (float64(b)-float64(a))*float64(i)/float64(h))
	}
	for i := range h {
		c.rect(0, y+i, sceneWidth, 1, mix(a.R, b.R, i)<<16|mix(a.G, b.G, i)<<8|mix(a.B, b.B, i))
	}
}

func (c canvas) ellipse(x, y, rx, ry int, hex uint32) {
	for dy := -ry; dy <= ry; dy++ {
		half := int(float64(rx) * math.Sqrt(1-float64(dy*dy)/float64(ry*ry)))
		c.rect(x-half, y+dy, 2*half, 1, hex)
	}
}

// person is drawn above the point where its feet are.
func (c canvas) person(x, y, size int, coat uint32, step float64) {
	leg := int(math.Sin(step) * float64(size) / 14)
	c.ellipse(x, y, size/4, size/18, 0x6b655d) // the shadow
	c.rect(x-size/12-leg, y-size*2/5, size/11, size*2/5, 0x262b38)
	c.rect(x+size/60+leg, y-size*2/5, size/11, size*2/5, 0x2b3140)
	c.ellipse(x, y-size*3/5, size/7, size/4, coat)
	c.ellipse(x, y-size*8/9, size/13, size/10, 0xc79a7c)
	c.ellipse(x, y-size*19/20, size/13, size/18, 0x35271f)
}

// shelves are full of goods, the same in each picture.
func (c canvas) shelves(x, y, w, rows int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	colours := []uint32{0x9b3d34, 0x3f6b57, 0xc8a04a, 0x4a5f86, 0xb9b2a4, 0x7d5a3c, 0x86557a}
	c.rect(x-4, y-6, w+8, rows*44+8, 0x54483c)
	for row := range rows {
		c.rect(x, y+row*44, w, 38, 0x2f2a25)
		for at := x + 2; at < x+w-12; {
			width, height := 8+random.IntN(14), 16+random.IntN(18)
			c.rect(at, y+row*44+38-height, min(width, x+w-at), height, colours[random.IntN(len(colours))])
			at += width + 2
		}
	}
}

var scenes = map[string]scene{
	"entrance": func(c canvas, at float64) {
		c.shade(0, 240, 0xcfc6b8, 0xb5aa9a)
		c.shade(240, 120, 0x8a8278, 0x5f5952)
		for i := range 9 {
			c.rect(0, 240+i*i*2, sceneWidth, 1, 0x746c63)
		}
		c.rect(228, 48, 184, 204, 0x3d4247)
		c.rect(238, 58, 78, 190, 0xa9c4d3)
		c.rect(324, 58, 78, 190, 0x9dbccd)
		c.rect(306, 140, 6, 40, 0xd8d8d8)
		c.rect(328, 140, 6, 40, 0xd8d8d8)
		c.rect(250, 14, 140, 24, 0x2f6b4f)
		c.shelves(24, 100, 150, 3, 3)
		c.rect(520, 216, 44, 44, 0x8d5b3f)
		for i := range 5 {
			c.ellipse(542+(i-2)*14, 186-(i%2)*16, 14, 34, 0x3f7048+uint32(i)*0x040400)
		}
		c.person(200+int(at*300), 300+int(at*24), 150, 0x355d8c, at*30)
	},
	"till": func(c canvas, at float64) {
		c.shade(0, 230, 0xd9d2c3, 0xbdb3a0)
		c.shade(230, 130, 0x6f675e, 0x4d4741)
		c.shelves(20, 44, 260, 4, 11)
		c.shelves(430, 44, 190, 4, 5)
		c.person(360+int(20*math.Sin(at*2*math.Pi)), 292, 190, 0x7c3b46, 0)
		c.rect(250, 216, 330, 124, 0x7d6246)
		c.rect(244, 206, 342, 16, 0xa58763)
		c.rect(440, 160, 84, 50, 0x2c3036)
		c.rect(448, 166, 68, 32, 0x5f93b0)
		c.rect(290, 192, 40, 16, 0xb64a3b)
	},
	"yard": func(c canvas, at float64) {
		c.shade(0, 130, 0x9fb9d1, 0xd5dee3)
		c.shade(130, 230, 0x7b7d7c, 0x565857)
		c.rect(0, 84, sceneWidth, 60, 0xa08a77)
		for x := 0; x < sceneWidth; x += 32 {
			c.rect(x, 84, 2, 60, 0x8b7563)
		}
		c.rect(60, 96, 130, 96, 0x5a6670)
		c.ellipse(300, 250, 130, 10, 0x3f4140)
		c.rect(190, 140, 220, 96, 0xe6e7e4)
		c.rect(352, 152, 52, 34, 0x47555f)
		c.rect(190, 206, 220, 6, 0x8aa06a)
		c.ellipse(236, 238, 22, 22, 0x24262a)
		c.ellipse(364, 238, 22, 22, 0x24262a)
		c.rect(460, 300, 160, 4, 0xe4e2d8)
		c.person(600-int(at*180), 316, 120, 0xb77a2f, at*26)
	},
}

// film encodes a scene as a camera would send it.
func (draw scene) film(t *testing.T) []byte {
	t.Helper()
	var raw bytes.Buffer
	for i := range sceneFrames {
		c := canvas{image.NewRGBA(image.Rect(0, 0, sceneWidth, sceneHeight))}
		draw(c, float64(i)/sceneFrames)
		raw.Write(c.Pix)
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgba", "-s",
		fmt.Sprintf("%dx%d", sceneWidth, sceneHeight), "-r", fmt.Sprint(sceneFPS), "-i", "-", "-vf", "gblur=sigma=0.7,noise=alls=3:allf=t",
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", fmt.Sprint(sceneFPS), "-pix_fmt", "yuv420p", "-f", "h264", "-")
	cmd.Stdin = &raw
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
