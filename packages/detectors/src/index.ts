export type { DetectionResult, Detector, Losses, TrainBatch } from './detector.js';
