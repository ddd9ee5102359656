// From what Prometheus answered to Grafana's data frames, with units, thresholds and overrides applied by Grafana's code.
import {
  applyFieldOverrides,
  FieldConfigOptionsRegistry,
  FieldType,
  fieldReducers,
  getFieldDisplayName,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

const PLAIN = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'color', 'links'];
const CUSTOM = [
  'drawStyle', 'lineWidth', 'lineStyle', 'fillOpacity', 'fillBelowTo', 'showPoints', 'stacking', 'axisPlacement',
  'hideFrom', 'lineInterpolation', 'gradientMode', 'spanNulls', 'cellOptions', 'width', 'align', 'axisLabel', 'barAlignment',
];

const option = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path,
  path,
  name: path,
  isCustom,
  settings: {},
  shouldApply: () => true,
  process: (value) => value,
  editor: () => null,
  override: () => null,
});

export const registry = new FieldConfigOptionsRegistry(() => [
  ...PLAIN.map((path) => option(path, false)),
  ...CUSTOM.map((path) => option(path, true)),
]);

standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((one) => [one.id, one])).values()].map((one) => ({
    id: one.id,
    name: one.name,
    transformation: () => Promise.resolve(one),
    editor: () => null,
  }))
);

const fill = (pattern, labels) => pattern.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');

function overTime(query, grid) {
  return query.result.map((series) => {
    const known = new Map(series.values.map(([at, value]) => [Math.round(at * 1000), Number(value)]));
    const name = fill(query.legend || '', series.metric) || 'value';
    const times = grid.map((at) => Math.round(at * 1000));
    return toDataFrame({
      refId: query.refId,
      name,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        {
          name: 'Value',
          type: FieldType.number,
          values: times.map((at) => known.get(at) ?? null),
          labels: series.metric,
          config: { displayNameFromDS: name },
        },
      ],
    });
  });
}

function instant(query) {
  return query.result.map((series) => {
    const name = fill(query.legend || '', series.metric);
    return toDataFrame({
      refId: query.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: [series.value[0] * 1000], config: {} },
        {
          name: 'Value',
          type: FieldType.number,
          values: [Number(series.value[1])],
          labels: series.metric,
          config: name ? { displayNameFromDS: name } : {},
        },
      ],
    });
  });
}

function table(query) {
  const labels = [...new Set(query.result.flatMap((series) => Object.keys(series.metric)))].sort();
  return [
    toDataFrame({
      refId: query.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: query.result.map((one) => one.value[0] * 1000), config: {} },
        ...labels.map((label) => ({
          name: label,
          type: FieldType.string,
          values: query.result.map((one) => one.metric[label] ?? ''),
          config: {},
        })),
        { name: 'Value', type: FieldType.number, values: query.result.map((one) => Number(one.value[1])), config: {} },
      ],
    }),
  ];
}

export async function framesOf(panel, queries, grid, theme) {
  let frames = queries.flatMap((query) => {
    if (query.format === 'table') {
      return table(query);
    }
    return query.instant ? instant(query) : overTime(query, grid);
  });
  if (panel.transformations?.length) {
    frames = await lastValueFrom(
      transformDataFrame(panel.transformations, frames, { interpolate: (text) => text })
    );
  }
  const steps = panel.fieldConfig.defaults.thresholds?.steps ?? [];
  if (steps.length && steps[0].value === null) {
    steps[0].value = -Infinity; // JSON has no such number; Grafana puts it in as it loads a dashboard
  }
  return applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

export { fieldReducers, getFieldDisplayName };
