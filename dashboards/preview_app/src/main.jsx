// A dashboard of ours as Grafana's own components draw it, from numbers of a real Prometheus laid beside it.
// window.PREVIEW = { board, span: {begin, end, step_s}, answers: { panel id: [query with its result] } }
import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

import { framesOf } from './frames';
import { KINDS } from './panels';

const COLUMN = 60;
const ROW = 38;
const GAP = 8;
const { board, span, answers } = window.PREVIEW;
const theme = createTheme({ colors: { mode: window.PREVIEW.dark ? 'dark' : 'light' } });
const grid = Array.from({ length: Math.floor((span.end - span.begin) / span.step_s) + 1 }, (_, n) => span.begin + n * span.step_s);
const range = {
  from: dateTime(span.begin * 1000),
  to: dateTime(span.end * 1000),
  raw: { from: dateTime(span.begin * 1000), to: dateTime(span.end * 1000) },
};

function Panel({ panel }) {
  const [frames, setFrames] = useState(null);
  useEffect(() => {
    if (panel.type === 'row') {
      return;
    }
    framesOf(panel, answers[panel.id] ?? [], grid, theme).then(setFrames, (error) => {
      console.error(panel.title, error);
      setFrames([]);
    });
  }, [panel]);
  const { x, y, w, h } = panel.gridPos;
  const box = { position: 'absolute', left: x * COLUMN, top: y * ROW, width: w * COLUMN - GAP, height: h * ROW - GAP };
  if (panel.type === 'row') {
    return <h2 style={{ ...box, margin: 0, fontSize: 16, fontWeight: 500, lineHeight: `${ROW}px` }}>{panel.title}</h2>;
  }
  const Kind = KINDS[panel.type];
  return (
    <div style={box} className="panel">
      <PanelChrome title={panel.title} width={box.width} height={box.height} padding="md">
        {(width, height) =>
          frames && <Kind panel={panel} frames={frames} width={width} height={height} range={range} theme={theme} />
        }
      </PanelChrome>
    </div>
  );
}

function Board() {
  const bottom = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles hackNoBackdropBlur={false} isExtensionSidebarOpen={false} />
      <main style={{ width: 24 * COLUMN + 2 * GAP, padding: GAP, background: theme.colors.background.canvas }}>
        <h1 style={{ fontSize: 20, margin: '4px 0' }}>{board.title}</h1>
        <p style={{ margin: '0 0 6px', opacity: 0.75 }}>{board.description}</p>
        <div style={{ position: 'relative', height: bottom * ROW }}>
          {board.panels.map((panel) => (
            <Panel key={panel.id} panel={panel} />
          ))}
        </div>
        <p style={{ opacity: 0.6, margin: 0 }}>
          Drawn by retrigger with Grafana&apos;s published components from a real Prometheus; not a Grafana server.
        </p>
      </main>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('root')).render(<Board />);
