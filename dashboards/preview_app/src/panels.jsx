// Each panel type of ours with the component that Grafana publishes for it.
import { FieldColorModeId, getFieldDisplayName, FieldType, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, BigValueTextMode, PanelContextProvider, TimeSeries } from '@grafana/ui';

const values = (frames) =>
  frames.flatMap((frame) =>
    frame.fields
      .filter((field) => field.type === FieldType.number)
      .map((field) => ({ field, frame, name: getFieldDisplayName(field, frame, frames) }))
  );

const last = (field) => field.values[field.values.length - 1];

function Empty({ panel, width, height }) {
  const text = panel.fieldConfig.defaults.noValue ?? 'No data';
  return <div style={{ width, height, display: 'grid', placeItems: 'center', opacity: 0.6, fontSize: 18 }}>{text}</div>;
}

function Stat({ panel, frames, width, height, theme }) {
  const found = values(frames);
  if (!found.length) {
    return <Empty panel={panel} width={width} height={height} />;
  }
  const tall = width / found.length < 110 ? { flexDirection: 'column' } : {};
  const across = tall.flexDirection ? 1 : found.length;
  const down = tall.flexDirection ? found.length : 1;
  const nameOnly = panel.options.textMode === 'name';
  return (
    <div style={{ display: 'flex', gap: 4, ...tall }}>
      {found.map(({ field, name }, index) => (
        <BigValue
          key={index}
          theme={theme}
          width={(width - 4 * (across - 1)) / across}
          height={(height - 4 * (down - 1)) / down}
          value={{ ...field.display(last(field)), title: name }}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          justifyMode="auto"
          textMode={nameOnly ? BigValueTextMode.Name : panel.options.textMode}
        />
      ))}
    </div>
  );
}

function Bars({ panel, frames, width, height, theme }) {
  const found = values(frames).sort((one, other) => Math.abs(last(other.field)) - Math.abs(last(one.field)));
  if (!found.length) {
    return <Empty panel={panel} width={width} height={height} />;
  }
  const each = Math.min((height - 4 * (found.length - 1)) / found.length, 34);
  const shown = found.map(({ field, name }) => ({ field, name, value: { ...field.display(last(field)), title: name } }));
  const longest = (pick) => shown.map(pick).reduce((one, other) => (other.length > one.length ? other : one), '');
  const factors = { title: longest((one) => one.name), text: longest((one) => one.value.text) };
  return (
    <div style={{ display: 'grid', gap: 4 }}>
      {shown.map(({ field, value, name }) => (
        <BarGauge
          key={name}
          theme={theme}
          width={width}
          height={each}
          field={{ ...field.config, min: panel.fieldConfig.defaults.min, max: panel.fieldConfig.defaults.max }}
          display={field.display}
          value={value}
          alignmentFactors={factors}
          orientation={VizOrientation.Horizontal}
          displayMode="basic"
          showUnfilled
        />
      ))}
    </div>
  );
}

function Curves({ panel, frames, width, height, range }) {
  const some = frames.filter((frame) => frame.fields.some((field) => field.values.some((value) => value !== null)));
  if (!some.length) {
    return <Empty panel={panel} width={width} height={height} />;
  }
  const hidden = new Set(['stacking', 'hideFrom']);
  some.forEach((frame, place) =>
    frame.fields.forEach((field) => {
      const custom = field.config.custom ?? {};
      field.state = { ...field.state, seriesIndex: place };
      field.config = {
        ...field.config,
        color: field.config.color ?? { mode: FieldColorModeId.PaletteClassic },
        custom: {
          drawStyle: 'line',
          lineWidth: 1,
          fillOpacity: 0,
          showPoints: 'never',
          axisPlacement: 'auto',
          stacking: { mode: 'none', group: 'A' },
          hideFrom: { viz: false, legend: false, tooltip: false },
          ...Object.fromEntries(Object.entries(custom).filter(([name, value]) => value !== undefined || !hidden.has(name))),
        },
      };
    })
  );
  const asked = panel.options.legend;
  const legend = {
    ...asked,
    calcs: some.length > 8 ? [] : asked.calcs || [],
    displayMode: some.length > 4 ? 'list' : asked.displayMode,
  };
  return (
    <PanelContextProvider value={{ eventsScope: 'preview', eventBus: { publish() {}, subscribe() {}, getStream: () => ({ subscribe: () => ({ unsubscribe() {} }), pipe: () => ({ subscribe: () => ({ unsubscribe() {} }) }) }) } }}>
      <TimeSeries frames={some} width={width} height={height} timeRange={range} timeZone="utc" legend={legend} options={{}} />
    </PanelContextProvider>
  );
}

function Bands({ panel, frames, width, height, range, theme }) {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const rows = values(frames);
  if (!rows.length) {
    return <Empty panel={panel} width={width} height={height} />;
  }
  const label = 190;
  const tall = Math.min(34, height / rows.length - 4);
  return (
    <svg width={width} height={height}>
      {rows.map(({ field, frame, name }, row) => (
        <g key={name} transform={`translate(0 ${row * (tall + 4)})`}>
          <text x="0" y={tall / 2 + 4} fontSize="12" fill={theme.colors.text.primary}>{name}</text>
          {field.values.map((value, place) => {
            if (value === null) {
              return null;
            }
            const at = frame.fields[0].values;
            const next = at[place + 1] ?? to;
            const x = (time) => label + ((time - from) / (to - from)) * (width - label);
            const colour = field.display(value).color;
            return <rect key={place} x={x(at[place])} y="0" width={Math.max(x(next) - x(at[place]) + 0.5, 1)} height={tall} fill={colour} />;
          })}
        </g>
      ))}
    </svg>
  );
}

// Grafana's own table measures a live panel and stays empty in a file; its values and colours are Grafana's all the same.
function Rows({ panel, frames, width, height, theme }) {
  if (!frames.length || !frames[0].length) {
    return <Empty panel={panel} width={width} height={height} />;
  }
  const [frame] = frames;
  const rows = [...Array(frame.length).keys()];
  const painted = (field) => field.type === FieldType.number && field.config.custom?.cellOptions?.type === 'color-background';
  const heads = frame.fields.map((field) => getFieldDisplayName(field, frame, frames));
  const cell = (field, row) => {
    const value = field.values[row];
    if (value === null || value === undefined || value === '') {
      return <td key={field.name} />;
    }
    const shown = field.display ? field.display(value) : { text: String(value) };
    const look = painted(field) ? { background: shown.color, color: theme.colors.getContrastText(shown.color), textAlign: 'center', padding: '5px 0', fontSize: 11 } : {};
    return <td key={field.name} style={{ padding: '4px 6px', overflowWrap: 'anywhere', ...look }}>{shown.text}{shown.suffix}</td>;
  };
  return (
    <table style={{ width, maxHeight: height, borderCollapse: 'collapse', fontSize: 12, tableLayout: frame.fields.some(painted) ? 'fixed' : 'auto' }}>
      <thead>
        <tr>{heads.map((name, place) => <th key={name} style={{ width: place === 0 && frame.fields.some(painted) ? 62 : undefined, textAlign: 'left', padding: '4px 6px', color: theme.colors.text.link, fontWeight: 500 }}>{name}</th>)}</tr>
      </thead>
      <tbody>{rows.map((row) => <tr key={row}>{frame.fields.map((field) => cell(field, row))}</tr>)}</tbody>
    </table>
  );
}

export const KINDS = {
  stat: Stat,
  bargauge: Bars,
  timeseries: Curves,
  'state-timeline': Bands,
  table: Rows,
};
